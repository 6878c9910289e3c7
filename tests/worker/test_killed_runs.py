"""A trainer killed in the middle of any task and any strategy: the next attempt goes on from the checkpoint and ends with the
weights of a run that nobody disturbed."""

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
BERT = "classification", "bert"
REPLAY = {"max_new_tokens": 8, "replay": 0.2}
STRATEGIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gradual": (*BERT, {"strategy": {"kind": "gradual", "over": 0.8}}),
    "partial": (*BERT, {"strategy": {"kind": "partial", "layers": 1, "layer_decay": 0.8}}),
    "head": (*BERT, {"strategy": {"kind": "head", "fit": "epochs"}, "epochs": 60}),
    "lora": (*BERT, {"strategy": {"kind": "lora", "rank": 4, "dropout": 0.1}}),
    "head_first": (*BERT, {"strategy": {"kind": "full", "head_first": True, "layer_decay": 0.8}}),
    "replay": ("generation", "gpt2", REPLAY),
    "replay lora": ("generation", "gpt2", REPLAY | {"strategy": {"kind": "lora", "rank": 4}}),
}


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    supervisor = Supervisor(settings)
    yield supervisor
    supervisor.stop()


def prepared(
    case: tuple[str, str, dict[str, Any]], settings: Settings, database: Database, files: Files
) -> tuple[Launcher, dict[str, Any]]:
    """Data and a model for a task, and the spec of a run. `case`: task, family, fields of the spec."""
    name, family, fields = case
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


@pytest.mark.parametrize(
    "case",
    [(name, *case) for name, case in CASES.items()] + list(STRATEGIES.values()),
    ids=[*CASES, *STRATEGIES],
)
def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(
    case: tuple[str, str, dict[str, Any]],
    supervisor: Supervisor,
    settings: Settings,
    database: Database,
    files: Files,
) -> None:
    launcher, spec = prepared(case, settings, database, files)
    undisturbed, disturbed = launcher.launch(spec), launcher.launch(spec)
    supervisor.supervise(undisturbed)
    assert read(database, undisturbed).state == "succeeded", read(database, undisturbed).error
    watching = in_background(supervisor, disturbed)
    # On the disk, not in the database: a short run may be over before the database has heard twice of it.
    until(lambda: list((files.run(disturbed) / "checkpoints").glob("[0-9]*/manifest.json")), "a checkpoint")
    kill(database, disturbed)
    watching.join()
    assert read(database, disturbed).state == "queued"
    supervisor.supervise(disturbed)
    assert went_on_from(database, disturbed) >= 1
    assert_same_end(database, files, undisturbed, disturbed)


def test_a_fitted_head_begins_again_and_ends_the_same(
    supervisor: Supervisor, settings: Settings, database: Database, files: Files
) -> None:
    launcher, spec = prepared((*BERT, {"strategy": {"kind": "head"}}), settings, database, files)
    for field in ("epochs", "batch_size", "learning_rate"):
        del spec[field]
    undisturbed, disturbed = launcher.launch(spec), launcher.launch(spec)
    supervisor.supervise(undisturbed)
    watching = in_background(supervisor, disturbed)
    wait_for_step(database, disturbed, 1)  # points of an attempt that counts no more are in the database then
    kill(database, disturbed)
    watching.join()
    supervisor.supervise(disturbed)
    assert_same_end(database, files, undisturbed, disturbed)


def kill(database: Database, run_id: str) -> None:
    """The run's trainer, from outside."""
    pid = read(database, run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def assert_same_end(
    database: Database, files: Files, undisturbed: str, disturbed: str, attempts: int = 2
) -> None:
    """The last of the `attempts` of `disturbed` has brought it to what `undisturbed` came to, bit by bit."""
    one, two = read(database, undisturbed), read(database, disturbed)
    assert (one.state, two.state, two.attempt) == ("succeeded", "succeeded", attempts), (one.error, two.error)
    assert losses(database, disturbed) == losses(database, undisturbed) | {
        "time": losses(database, disturbed)["time"]
    }
    assert weights_of(files, disturbed) == weights_of(files, undisturbed)
    assert (two.metrics, two.baselines) == (one.metrics, one.baselines)
    assert one.results is not None and two.results is not None
    for results in (one.results, two.results):
        results.get("head_first", {}).pop("seconds", None)
    assert two.results == one.results


def weights_of(files: Files, run_id: str) -> dict[str, str]:
    """The SHA-256 of all that was learned, by path: the download's, the adapter's, what lies between a head-only model and it."""
    run = files.run(run_id)
    paths = sorted(path for path in run.rglob("*.safetensors"))
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
