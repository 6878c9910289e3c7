"""What the supervisor makes of a locked database, a suspended machine and a trainer that could not begin."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.core import attempts, runs
from app.core.db import Database
from app.core.files import Files
from app.core.runs import LEASE_SECONDS
from app.core.settings import Settings
from app.core.tables import Run
from tests.conftest import TurnedClock
from worker.disk import disk_full
from worker.processes import EXIT_LOCKED, MEMORY_FULL, Trainer
from worker.supervisor import Supervisor

QueueRun = Callable[[], str]


@pytest.fixture
def supervisor(settings: Settings) -> Supervisor:
    return Supervisor(settings)


@pytest.fixture
def run_id(database: Database, queue_run: QueueRun, clock: TurnedClock) -> str:
    run_id = queue_run()
    with database.write() as session:
        assert attempts.claim(session, run_id, clock()) == 1
    return run_id


def read(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


class LockingTrainer:
    """Stands in for a trainer: locks the database when it begins, for three looks of its supervisor."""

    pid, started = 1, 0.0

    def __init__(self, database: Database) -> None:
        self._database, self._lock, self.looks = database, ExitStack(), 0

    def begin(self, _order: dict[str, Any]) -> None:
        session = self._lock.enter_context(self._database.write())
        session.execute(text("SELECT 1"))  # the transaction begins, and with it the lock

    def wait(self, _seconds: float) -> bool:
        self.looks += 1
        if self.looks == 3:
            self._lock.close()
        return self.looks == 4

    def wait_code(self) -> int:
        return -signal.SIGTERM


def test_a_locked_database_ends_no_training(supervisor: Supervisor, database: Database, run_id: str) -> None:
    supervisor.database = Database(database.url, patience=0.001)
    trainer = LockingTrainer(database)
    supervisor._watch(cast("Trainer", trainer), run_id, 1)
    assert trainer.looks == 4
    assert read(database, run_id).state == "queued"


def test_a_run_that_it_trains_is_not_lost_by_a_suspended_machine(
    supervisor: Supervisor, database: Database, run_id: str, clock: TurnedClock
) -> None:
    with database.write() as session:  # long ago
        session.execute(text("UPDATE run SET lease_until = 1"))
    supervisor._current = (run_id, 1)
    supervisor.reconcile()
    run = read(database, run_id)
    assert run.state == "running"
    assert run.lease_until is not None
    assert run.lease_until > LEASE_SECONDS


def test_a_trainer_that_waited_for_its_forerunner_counts_as_no_failure(
    supervisor: Supervisor, database: Database, run_id: str
) -> None:
    supervisor._judge(run_id, 1, EXIT_LOCKED, False)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)


def test_an_attempt_that_the_system_ended_for_lack_of_memory_marks_the_run_for_the_next(
    supervisor: Supervisor, database: Database, files: Files, run_id: str
) -> None:
    files.run(run_id).mkdir(parents=True, exist_ok=True)
    supervisor._judge(run_id, 1, -signal.SIGKILL, True)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 1)
    assert (files.run(run_id) / MEMORY_FULL).exists()


def test_a_full_disk_is_told_from_a_bug() -> None:
    assert disk_full(OSError(28, "No space left on device"))
    assert disk_full(Exception("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert not disk_full(OSError(2, "No such file or directory"))
    assert not disk_full(KeyError("28"))


def test_best_weights_of_attempts_that_were_killed_are_removed(files: Files, run_id: str) -> None:
    from worker.trainer import remove_stale

    old, other = files.attempt(run_id, 1), files.attempt(run_id, 2)
    for folder in (old, other):
        folder.mkdir(parents=True)
        (folder / "best.safetensors").write_bytes(b"weights")
        (folder / "log.txt").write_text("kept")
    remove_stale(files.run(run_id))
    assert {path.name for path in files.run(run_id).glob("attempt-*/*")} == {"log.txt"}
