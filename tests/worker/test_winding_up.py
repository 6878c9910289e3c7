"""A paused run that is cancelled keeps the best weights of its checkpoint; tried again, it goes on from there."""

import threading
import time
from typing import Any

import pytest
from safetensors.torch import load_file

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files
from app.core.tables import Run
from tests.waiting import until
from tests.worker.real_runs import RealRuns

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("strategy", ["full", "lora"])
def test_a_cancelled_pause_offers_the_best_weights_and_can_be_tried_again(
    real_runs: RealRuns, database: Database, files: Files, strategy: str
) -> None:
    changes: dict[str, Any] = {"epochs": 30, "batch_size": 8, "strategy": {"kind": strategy}}
    run_id = real_runs.launch(**changes)
    supervising = threading.Thread(target=real_runs.supervisor.supervise)
    supervising.start()

    def evaluated() -> Run | None:
        run = real_runs.read(run_id)
        assert run.state in ("queued", "running"), run.error
        return run if run.best_step else None

    until(evaluated, "an evaluation")
    with database.write() as session:
        runs.request_pause(session, run_id, time.time())
    supervising.join()
    paused = real_runs.read(run_id)
    assert paused.state == "paused"
    [newest, *_] = sorted((files.run(run_id) / "checkpoints").glob("[0-9]*"), reverse=True)
    best = load_file(newest / "best.safetensors")

    with database.write() as session:
        assert runs.request_cancel(session, run_id, time.time()).state == "queued"
    real_runs.supervisor.supervise()
    run = real_runs.read(run_id)
    assert (run.state, run.attempt, run.step) == ("cancelled", 2, paused.step), run.error
    assert files.checkpoint_zip(run_id).is_file()
    if strategy == "lora":
        assert files.adapter_zip(run_id).is_file()
        return
    exported = load_file(files.model(run_id) / "model.safetensors")
    assert best
    assert all(exported[name].equal(tensor) for name, tensor in best.items() if name in exported)
    assert set(best) & set(exported)

    with database.write() as session:
        runs.request_retry(session, run_id, time.time())
    real_runs.supervisor.supervise()
    run = real_runs.read(run_id)
    assert (run.state, run.attempt) == ("succeeded", 3), run.error
    assert run.metrics
    with database.read() as session:
        [*_, rewound] = [
            one.payload for one in events.after(session, run_id, 0, 10**6) if one.kind == "rewind"
        ]
        steps = events.read_points(session, run_id, ["train/loss"])["train/loss"]["step"]
    assert rewound["step"] == paused.checkpoint_step
    assert steps == list(range(1, run.steps + 1))
    assert not (files.run(run_id) / "checkpoints").exists()
