"""run:ID: a run that begins with the model of another, through real trainer processes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run, folder_sha256
from tests.worker.tiny import build_bert, toy
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
Train = Callable[..., Run]


@pytest.fixture
def train(settings: Settings, database: Database, files: Files) -> Iterator[Train]:
    """Launches a run and trains it to its end. `labels` renames the two labels."""
    texts, labels = toy(120)
    assert settings.models_dir is not None
    build_bert(settings.models_dir / "tiny", texts)
    store = DatasetStore(database, files)
    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    launcher = Launcher(database, files, store, models, enqueue=lambda _: None)
    supervisor = Supervisor(settings)

    def upload(names: dict[str, str]) -> str:
        lines = [f'"{text}",{names.get(label, label)}' for text, label in zip(texts, labels, strict=True)]
        sent = store.begin("toy.csv", None)
        sent.write("\n".join(["text,label", *lines]).encode())
        sent.commit()
        store.read(sent.id)
        return str(sent.id)

    def run(
        names: dict[str, str] | None = None, before: Callable[[], None] | None = None, **changes: Any
    ) -> Run:
        spec = {
            "dataset": upload(names or {}),
            "task": "classification",
            "columns": {"text": "text", "label": "label"},
            "model": "local:tiny",
            "epochs": 4,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "max_length": 32,
            **changes,
        }
        run_id = launcher.launch(spec)
        if before is not None:
            before()
        supervisor.supervise(run_id)
        with database.read() as session:
            return runs.get(session, run_id)

    yield run
    supervisor.stop()


def first_loss(database: Database, run: Run) -> float:
    with database.read() as session:
        return float(events.read_points(session, run.id, ["train/loss"])["train/loss"]["value"][0])


def said(database: Database, run: Run) -> str:
    with database.read() as session:
        found = events.after(session, run.id, 0)
    return "\n".join(event.payload["message"] for event in found if event.kind == "log")


def test_the_same_task_and_labels_keep_the_head_and_others_get_a_new_one(
    train: Train, database: Database, files: Files
) -> None:
    parent = train(epochs=12)
    assert parent.state == "succeeded", parent.error
    assert parent.weights_sha256 == folder_sha256(files.model(parent.id))

    same = train(model=f"run:{parent.id}", epochs=1)
    other = train({"positive": "yes", "negative": "no"}, model=f"run:{parent.id}", epochs=1)

    assert (same.state, other.state) == ("succeeded", "succeeded")
    assert (same.parent_id, same.parent_sha256) == (parent.id, parent.weights_sha256)
    assert first_loss(database, same) < 0.3 < first_loss(database, other)
    assert "its head is kept" in said(database, same)
    assert "replaced by a new one" in said(database, other)


def test_a_child_does_not_begin_with_other_weights_than_it_was_started_with(
    train: Train, files: Files
) -> None:
    parent = train(epochs=1)

    def change() -> None:
        weights = files.model(parent.id) / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(bytes(content))

    child = train(model=f"run:{parent.id}", epochs=1, before=change)

    assert child.state == "failed"
    assert child.error is not None and child.error["kind"] == "model"
    assert "not those that this run was started with" in child.error["message"]
