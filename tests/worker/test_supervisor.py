"""Runs through the supervisor with real trainer processes, a tiny model and a real database."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.numpy import load_file

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from tests.waiting import until
from tests.worker.tiny import build_bert, toy
from worker.predictor import Answering
from worker.processes import Trainer
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
Launch = Callable[..., str]


@pytest.fixture
def launch(settings: Settings, database: Database, files: Files) -> Launch:
    """Queues a run of the tiny model on the toy data; keyword arguments go into the spec."""
    texts, labels = toy(200)
    assert settings.models_dir is not None
    build_bert(settings.models_dir / "tiny", texts)
    store = DatasetStore(database, files)
    upload = store.begin("toy.csv", None)
    lines = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    upload.write("\n".join(["text,label", *lines]).encode())
    upload.commit()
    store.read(upload.id)
    launcher = Launcher(database, files, store, ModelCatalog(settings), enqueue=lambda _: None)

    def queue(**changes: Any) -> str:
        spec = {
            "dataset": upload.id,
            "task": "classification",
            "columns": {"text": "text", "label": "label"},
            "model": "local:tiny",
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "max_length": 32,
        }
        return launcher.launch({**spec, **changes})

    return queue


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings)
    yield supervisor
    supervisor.stop()


def read(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def losses(database: Database, run_id: str) -> dict[str, list[Any]]:
    with database.read() as session:
        return events.read_points(session, run_id, ["train/loss"])["train/loss"]


def in_background(supervisor: Supervisor, run_id: str) -> threading.Thread:
    thread = threading.Thread(target=supervisor.supervise, args=(run_id,))
    thread.start()
    return thread


def wait_for_step(database: Database, run_id: str, step: int) -> Run:
    def reached() -> Run | None:
        run = read(database, run_id)
        assert run.state in ("queued", "running"), run.error
        return run if run.step >= step else None

    return until(reached, f"step {step}")


def test_a_run_ends_with_metrics_a_gapless_curve_and_a_model_that_answers(
    supervisor: Supervisor, launch: Launch, database: Database, files: Files, settings: Settings
) -> None:
    run_id = launch(epochs=15)
    supervisor.supervise(run_id)
    run = read(database, run_id)
    assert (run.state, run.error) == ("succeeded", None)
    assert run.metrics is not None
    assert run.baselines is not None
    assert run.metrics["accuracy"] > 0.8
    assert set(run.baselines) == {"majority", "tfidf"}
    assert run.results is not None
    assert 0 < run.results["trainable"] == run.results["parameters"]  # all weights learn
    assert losses(database, run_id)["step"] == list(range(1, run.steps + 1))
    assert run.step == run.steps
    answers = Answering(settings).predict(run_id, ["the film was superb", "the film was dreadful"])
    assert all(abs(sum(answer["probabilities"].values()) - 1) < 1e-5 for answer in answers)
    assert (files.run(run_id) / "plan.json").exists()
    assert "validation" in (files.attempt(run_id, 1) / "log.txt").read_text()


@pytest.mark.usefixtures("real_starts")
def test_a_killed_trainer_is_replaced_and_the_result_is_the_undisturbed_one(
    supervisor: Supervisor, launch: Launch, database: Database, files: Files
) -> None:
    undisturbed, disturbed = launch(epochs=40), launch(epochs=40)
    supervisor.supervise(undisturbed)
    watching = in_background(supervisor, disturbed)
    run = wait_for_step(database, disturbed, 20)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    watching.join()
    run = read(database, disturbed)
    assert (run.state, run.failures) == ("queued", 0)
    supervisor.supervise(disturbed)
    run = read(database, disturbed)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert losses(database, disturbed)["value"] == losses(database, undisturbed)["value"]
    weights = [load_file(files.model(one) / "model.safetensors") for one in (undisturbed, disturbed)]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def resumed_behind(database: Database, run_id: str) -> int:
    """The step behind which the last attempt went on."""
    with database.read() as session:
        told = events.after(session, run_id, 0, 10**6)
    return int(next(event.payload["step"] for event in reversed(told) if event.kind == "rewind"))


def test_a_paused_run_goes_on_from_where_it_was(
    supervisor: Supervisor, launch: Launch, database: Database, files: Files
) -> None:
    undisturbed, run_id = launch(epochs=80), launch(epochs=80)  # long enough for a pause to be seen
    supervisor.supervise(undisturbed)
    watching = in_background(supervisor, run_id)
    wait_for_step(database, run_id, 3)
    with database.write() as session:
        runs.request_pause(session, run_id, time.time())
    watching.join()
    paused = read(database, run_id)
    assert (paused.state, paused.failures) == ("paused", 0), paused.error
    assert paused.checkpoint_step >= 3
    supervisor.supervise(run_id)
    assert read(database, run_id).state == "paused"
    with database.write() as session:
        runs.request_resume(session, run_id, time.time())
    supervisor.supervise(run_id)
    run = read(database, run_id)
    assert (run.state, run.attempt) == ("succeeded", 2), run.error
    assert resumed_behind(database, run_id) == paused.checkpoint_step
    assert losses(database, run_id)["value"] == losses(database, undisturbed)["value"]
    assert run.weights_sha256 == read(database, undisturbed).weights_sha256
    assert run.metrics == read(database, undisturbed).metrics
    assert not (files.run(run_id) / "checkpoints").exists()


def test_a_stopped_worker_leaves_a_checkpoint_and_the_run_in_the_queue(
    supervisor: Supervisor, launch: Launch, database: Database, settings: Settings
) -> None:
    run_id = launch(epochs=80)
    watching = in_background(supervisor, run_id)
    wait_for_step(database, run_id, 3)
    supervisor.stop()
    watching.join()
    left = read(database, run_id)
    assert (left.state, left.failures) == ("queued", 0)
    assert left.checkpoint_step >= 3
    following = Supervisor(settings)
    following.supervise(run_id)
    following.stop()
    assert read(database, run_id).state == "succeeded"
    assert resumed_behind(database, run_id) == left.checkpoint_step
    steps = losses(database, run_id)["step"]
    assert steps == list(range(1, len(steps) + 1))


def test_a_cancel_keeps_the_curve_and_offers_the_best_weights(
    supervisor: Supervisor, launch: Launch, database: Database, files: Files
) -> None:
    run_id = launch(epochs=1000)
    watching = in_background(supervisor, run_id)
    wait_for_step(database, run_id, 30)
    with database.write() as session:
        runs.request_cancel(session, run_id, 0.0)
    watching.join()
    run = read(database, run_id)
    assert run.state == "cancelled"
    assert losses(database, run_id)["step"] == list(range(1, run.step + 1))
    assert files.checkpoint_zip(run_id).exists()


def test_a_model_that_has_gone_fails_the_run_with_a_sentence(
    supervisor: Supervisor, launch: Launch, database: Database, settings: Settings
) -> None:
    run_id = launch()
    assert settings.models_dir is not None
    (settings.models_dir / "tiny" / "model.safetensors").unlink()
    supervisor.supervise(run_id)
    run = read(database, run_id)
    assert (run.state, run.attempt) == ("failed", 1)
    assert run.error is not None
    assert run.error["kind"] == "model"
    assert "Traceback" not in run.error["message"]


def test_a_stopped_worker_puts_its_run_back(
    supervisor: Supervisor, launch: Launch, database: Database
) -> None:
    run_id = launch(epochs=1000)
    watching = in_background(supervisor, run_id)
    run = wait_for_step(database, run_id, 5)
    supervisor.stop()
    watching.join()
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)
    assert run.pid is not None
    assert not psutil.pid_exists(run.pid)


def test_a_trainer_dies_with_its_supervisor(settings: Settings, tmp_path: Path) -> None:
    script = (
        "import time\n"
        "from app.core.settings import Settings\n"
        "from worker.processes import Trainer\n"
        "print(Trainer.start(Settings()).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings.environment()},
    )
    assert supervisor.stdout is not None
    trainer = psutil.Process(int(supervisor.stdout.readline()))
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    trainer.wait(timeout=60)


def test_a_process_is_known_by_its_start_time_too(settings: Settings) -> None:
    from worker.processes import kill_group

    trainer = Trainer.start(settings)
    kill_group(trainer.pid, trainer.started - 100)
    assert trainer.alive()
    kill_group(trainer.pid, trainer.started)
    assert trainer.wait(30)
    trainer.kill()
