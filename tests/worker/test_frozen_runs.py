"""Runs whose lower blocks are frozen, through real trainer processes: computed once, found again by the next run."""

import json
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
from app.models.finished import finished_run
from tests.worker.tiny import build_bert, toy
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
Train = Callable[..., Run]
PARTIAL = {"kind": "partial", "layers": 1}
HEAD = {"kind": "head", "fit": "epochs"}


@pytest.fixture
def train(settings: Settings, database: Database, files: Files) -> Iterator[Train]:
    texts, labels = toy(120)
    assert settings.models_dir is not None
    build_bert(settings.models_dir / "tiny", texts)
    store = DatasetStore(database, files)
    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    launcher = Launcher(database, files, store, models, enqueue=lambda _: None)
    supervisor = Supervisor(settings)
    sent = store.begin("toy.csv", None)
    lines = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    sent.write("\n".join(["text,label", *lines]).encode())
    sent.commit()
    store.read(sent.id)

    def run(**changes: Any) -> Run:
        spec = {
            "dataset": sent.id,
            "task": "classification",
            "columns": {"text": "text", "label": "label"},
            "model": "local:tiny",
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "max_length": 32,
            **changes,
        }
        run_id = launcher.launch(spec)
        supervisor.supervise(run_id)
        with database.read() as session:
            return runs.get(session, run_id)

    yield run
    supervisor.stop()


def said(database: Database, run: Run) -> str:
    with database.read() as session:
        found = events.after(session, run.id, 0)
    return "\n".join(event.payload["message"] for event in found if event.kind == "log")


@pytest.mark.parametrize("strategy", [PARTIAL, HEAD], ids=["partial", "head"])
def test_the_next_run_finds_what_the_first_computed_and_ends_with_the_same_weights(
    train: Train, database: Database, files: Files, strategy: dict[str, Any]
) -> None:
    first = train(strategy=strategy)
    assert first.state == "succeeded", first.error
    assert "The frozen part is computed once" in said(database, first)
    assert len(list(files.frozen_outputs.glob("*.f32"))) == 2  # of train and validation
    noted = json.loads((files.run(first.id) / "plan.json").read_text())
    assert noted["frozen_part"] == "computed once"

    second = train(strategy=strategy)
    assert "was computed by an earlier run" in said(database, second)
    for path in files.frozen_outputs.iterdir():
        path.unlink()
    third = train(strategy=strategy)
    assert "The frozen part is computed once" in said(database, third)
    assert first.weights_sha256 == second.weights_sha256 == third.weights_sha256


def test_a_run_that_changes_all_weights_keeps_nothing(train: Train, database: Database, files: Files) -> None:
    run = train(epochs=1)
    assert run.state == "succeeded", run.error
    assert "frozen part" not in said(database, run)
    assert not files.frozen_outputs.exists()
