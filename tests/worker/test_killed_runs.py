"""A trainer killed in the middle of any task: the next attempt goes on from the checkpoint and ends with the weights of a run
that nobody disturbed."""

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from app.core import events
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from tests.waiting import until
from tests.worker.test_families import columns_of
from tests.worker.test_supervisor import in_background, losses, read, wait_for_step
from tests.worker.tiny import build
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
# Each takes more than a hundred steps, so that a kill falls between the first and the last.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tagging": ("bert", {}),
    "text2text": ("marian", {"num_beams": 1, "max_new_tokens": 8}),
    "generation": ("gpt2", {"max_new_tokens": 8}),
    "adaptation": ("bert", {"epochs": 40}),
    "multilabel": ("bert", {}),
    "score": ("bert", {}),
    "pair": ("bert", {}),
}


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings)
    yield supervisor
    supervisor.stop()


def prepared(
    name: str, settings: Settings, database: Database, files: Files
) -> tuple[Launcher, dict[str, Any]]:
    """Data and a model for the task, and the spec of a run."""
    family, fields = CASES[name]
    columns = columns_of(name)
    assert settings.models_dir is not None
    build(family, settings.models_dir / "tiny", [text for texts in columns.values() for text in texts])
    store = DatasetStore(database, files)
    upload = store.begin("toy.jsonl", None)
    for row in zip(*columns.values(), strict=True):
        upload.write(json.dumps(dict(zip(columns, row, strict=True))).encode() + b"\n")
    upload.commit()
    store.read(upload.id)
    spec = {
        "dataset": upload.id,
        "task": name,
        "columns": {role: role for role in columns},
        "model": "local:tiny",
        "epochs": 10,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "max_length": 32,
        "checkpoint_seconds": 0.05,
        **fields,
    }
    return Launcher(database, files, store, ModelCatalog(settings), enqueue=lambda _: None), spec


def went_on_from(database: Database, run_id: str) -> int:
    """The step behind which the last attempt went on."""
    with database.read() as session:
        told = [
            event.payload["step"]
            for event in events.after(session, run_id, 0, 10**6)
            if event.kind == "rewind"
        ]
    return int(told[-1])


@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_of_any_task_ends_with_the_weights_of_an_undisturbed_one(
    name: str, supervisor: Supervisor, settings: Settings, database: Database, files: Files
) -> None:
    launcher, spec = prepared(name, settings, database, files)
    undisturbed, disturbed = launcher.launch(spec), launcher.launch(spec)
    supervisor.supervise(undisturbed)
    assert read(database, undisturbed).state == "succeeded", read(database, undisturbed).error
    watching = in_background(supervisor, disturbed)
    wait_for_step(database, disturbed, 3)
    until(lambda: read(database, disturbed).checkpoint_step, "a checkpoint")
    pid = read(database, disturbed).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    watching.join()
    assert read(database, disturbed).state == "queued"
    supervisor.supervise(disturbed)

    run = read(database, disturbed)
    assert (run.state, run.attempt) == ("succeeded", 2), run.error
    assert went_on_from(database, disturbed) >= 1
    assert losses(database, disturbed)["value"] == losses(database, undisturbed)["value"]
    weights = [files.model(one) / "model.safetensors" for one in (undisturbed, disturbed)]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights]
    assert sums[0] == sums[1]
    assert read(database, undisturbed).metrics == run.metrics
