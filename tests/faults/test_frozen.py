"""Processes that are frozen (SIGSTOP) and perhaps continued: the run is trained once at a time, and nothing is written by who lost it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core import attempts
from app.core.runs import LEASE_SECONDS
from tests.faults.conftest import LONG, Faulty, Same
from tests.waiting import until
from worker.processes import Trainer
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("real_starts")
def test_a_frozen_trainer_is_ended_and_the_run_goes_on(folder: Faulty, same: Same) -> None:
    impatient = Supervisor(folder.settings, keep_warm=False, patience=9.0)
    folder.runs.supervisor = impatient
    run_id = folder.runs.launch(**LONG)
    watching = folder.in_background(run_id)
    pid = folder.kept(run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    watching.join()
    run = folder.runs.read(run_id)
    assert (run.state, run.failures) == ("queued", 0)
    assert "stopped from outside" in folder.runs.said(run)
    impatient.supervise(run_id)
    same(run_id)


def files_of(run: Path) -> dict[Path, int]:
    """All that lies there, but for what the process prints."""
    return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "log.txt"}


def test_a_trainer_that_lost_its_run_while_frozen_stops_without_writing(folder: Faulty, same: Same) -> None:
    run_id = folder.runs.launch(**LONG)
    with folder.database.write() as session:
        assert attempts.claim(session, run_id, time.time()) == 1
    trainer = Trainer.start(folder.settings)
    trainer.begin({"run_id": run_id, "attempt": 1, "log": str(folder.files.attempt(run_id, 1) / "log.txt")})
    folder.kept(run_id)
    os.kill(trainer.pid, signal.SIGSTOP)
    until(trainer.frozen, "the freeze")
    frozen_at = time.time()
    # To another worker's clock the lease has run out. It could not end the trainer, which is on another machine, say.
    with folder.database.write() as session:
        assert attempts.claim(session, run_id, frozen_at + 2 * LEASE_SECONDS) == 2
    before, there = folder.runs.read(run_id), files_of(folder.files.run(run_id))
    until(lambda: time.time() > frozen_at + LEASE_SECONDS / 2 + 0.5, "a silence that it must notice")
    os.kill(trainer.pid, signal.SIGCONT)
    assert trainer.wait(120)
    assert trainer.wait_code() == 0
    after = folder.runs.read(run_id)
    assert (after.event_seq, after.step, after.attempt) == (before.event_seq, before.step, 2)
    assert files_of(folder.files.run(run_id)) == there
    trainer.kill()
    with folder.database.write() as session:
        attempts.release(session, run_id, 2, "The other worker gives it back.", time.time())
    folder.runs.supervisor.supervise(run_id)
    same(run_id)


def test_a_worker_frozen_past_its_lease_finds_that_it_lost_the_run(folder: Faulty, same: Same) -> None:
    run_id = folder.runs.launch(**LONG)
    worker = subprocess.Popen(
        [sys.executable, "-m", "worker.supervisor", run_id],
        stdin=subprocess.PIPE,
        env={**os.environ, **folder.settings.environment()},
    )
    pid = folder.kept(run_id).pid
    assert pid is not None
    for one in (worker.pid, pid):
        os.kill(one, signal.SIGSTOP)
    with folder.database.write() as session:  # instead of waiting
        session.execute(text("UPDATE run SET lease_until = 1"))
    folder.runs.supervisor.supervise(run_id)
    same(run_id)
    before = folder.runs.read(run_id)
    assert before.attempt == 2
    os.kill(worker.pid, signal.SIGCONT)
    assert worker.wait(120) == 0
    assert folder.runs.read(run_id) == before
    same(run_id)
    assert worker.stdin is not None
    worker.stdin.close()
