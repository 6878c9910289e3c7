"""A cancel that comes when the run has been trained already: it ends as cancelled or as succeeded, and says which."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.core import attempts, runs
from app.core.tables import Run
from tests.faults.conftest import Faulty
from worker.finetune import Finetune
from worker.trainer import train_run

pytestmark = pytest.mark.slow

STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora"},
    "head": {"kind": "head"},
    "head first": {"kind": "partial", "layers": 1, "head_first": True},
}


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def cancelled_in(stage: str, folder: Faulty, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Run:
    """A run whose user cancels it as `stage` of it begins."""
    run_id = folder.runs.launch(**changes)
    work = getattr(Finetune, stage)

    def late(self: Finetune, *arguments: Any) -> Any:
        if not self.recorder.cancelled.is_set():
            with folder.database.write() as session:
                runs.request_cancel(session, run_id, time.time())
            if stage == "_measure":
                self.recorder.flush()  # which it does every second: it sees the cancel
        return work(self, *arguments)

    monkeypatch.setattr(Finetune, stage, late)
    with folder.database.write() as session:
        assert attempts.claim(session, run_id, time.time()) == 1
    folder.files.attempt(run_id, 1).mkdir(parents=True)
    train_run(folder.settings, run_id, 1)
    return folder.runs.read(run_id)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_while_it_is_measured_the_best_weights_are_kept(
    strategy: str, folder: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cancelled_in("_measure", folder, monkeypatch, strategy=STRATEGIES[strategy])
    assert run.state == "cancelled", run.error
    assert "The best weights so far are kept" in folder.runs.said(run)
    assert folder.files.checkpoint_zip(run.id).is_file()
    assert run.metrics is None


def test_while_it_is_exported_it_succeeds_and_says_that_the_cancel_came_too_late(
    folder: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cancelled_in("_export", folder, monkeypatch)
    assert (run.state, run.cancel_requested) == ("succeeded", False), run.error
    assert run.metrics
    assert "The cancel came too late" in folder.runs.said(run)
