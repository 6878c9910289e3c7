"""Trainers that end by their own fault, and models that go away."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from app.core import attempts, runs
from tests.faults.conftest import LONG, Faulty, Same
from worker.finetune import Finetune
from worker.loop import NonFiniteLoss
from worker.trainer import train_run

pytestmark = pytest.mark.slow

ABORTS = """
import os, resource, sys
if "worker.trainer" in sys.orig_argv:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()
"""


def test_a_trainer_that_crashes_at_once_every_time_is_given_up_with_its_reason(
    folder: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing").mkdir()
    (tmp_path / "crashing" / "sitecustomize.py").write_text(ABORTS)
    path = [str(tmp_path / "crashing"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    run_id = folder.runs.launch()
    for attempt in (1, 2, 3):
        assert folder.runs.read(run_id).state == "queued"
        folder.runs.supervisor.supervise(run_id)
        assert folder.runs.read(run_id).attempt == attempt
    run = folder.runs.read(run_id)
    assert (run.state, run.failures) == ("failed", 3)
    assert run.error is not None
    assert "ended by signal SIGABRT" in run.error["message"]
    folder.runs.supervisor.supervise(run_id)
    assert folder.runs.read(run_id).attempt == 3


def test_a_model_that_is_deleted_meanwhile_ends_the_next_attempt_and_a_retry_goes_on(
    folder: Faulty, same: Same
) -> None:
    assert folder.settings.models_dir is not None
    model, aside = folder.settings.models_dir / "tiny", folder.settings.models_dir.with_name("aside")
    run_id = folder.runs.launch(**LONG)
    watching = folder.in_background(run_id)
    run = folder.kept(run_id)
    shutil.move(model, aside)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    watching.join()
    folder.runs.supervisor.supervise(run_id)
    run = folder.runs.read(run_id)
    assert (run.state, run.attempt) == ("failed", 2)
    assert run.error is not None
    assert run.error["kind"] == "model"
    assert "tiny" in run.error["message"]

    shutil.move(aside, model)
    with folder.database.write() as session:
        runs.request_retry(session, run_id, time.time())
    folder.runs.supervisor.supervise(run_id)
    same(run_id)


def test_a_loss_that_is_no_number_ends_the_run_with_its_step_and_a_lower_learning_rate(
    folder: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(_: object) -> None:
        raise NonFiniteLoss(7, 3e-4)

    monkeypatch.setattr(Finetune, "run", diverge)
    run_id = folder.runs.launch()
    with folder.database.write() as session:
        assert attempts.claim(session, run_id, time.time()) == 1
    before = signal.getsignal(signal.SIGTERM)
    train_run(folder.settings, run_id, 1)
    signal.signal(signal.SIGTERM, before)
    run = folder.runs.read(run_id)
    assert run.state == "failed"
    assert run.error is not None
    assert "at step 7" in run.error["message"]
    assert run.error["learning_rate"] == 1e-4
