"""Runs whose head is fitted, through real trainer processes: as the whole strategy, and before the rest learns."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from safetensors.torch import load_file

from app.core import events, runs
from app.core.db import Database
from app.core.errors import Invalid
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run
from tests.serving import toy_csv
from tests.worker.tiny import build_bert, toy
from worker.supervisor import Supervisor
from worker.transfer.head_first import HEAD_ONLY

pytestmark = pytest.mark.slow
Train = Callable[..., Run]


@pytest.fixture
def train(settings: Settings, database: Database, files: Files) -> Iterator[Train]:
    assert settings.models_dir is not None
    build_bert(settings.models_dir / "tiny", toy(120)[0])
    store = DatasetStore(database, files)
    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    launcher = Launcher(database, files, store, models, enqueue=lambda _: None)
    supervisor = Supervisor(settings)
    sent = store.begin("toy.csv", None)
    sent.write(toy_csv(120).encode())
    sent.commit()
    store.read(sent.id)

    def run(**changes: Any) -> Run:
        columns = {"text": "text", "label": "label"}
        given = {"dataset": sent.id, "task": "classification", "columns": columns, "max_length": 32}
        run_id = launcher.launch({**given, "model": "local:tiny", **changes})
        supervisor.supervise(run_id)
        with database.read() as session:
            return runs.get(session, run_id)

    yield run
    supervisor.stop()


def said(database: Database, run: Run) -> str:
    with database.read() as session:
        found = events.after(session, run.id, 0)
    return "\n".join(event.payload["message"] for event in found if event.kind == "log")


def test_a_head_without_epochs_is_fitted_and_both_heads_are_in_the_download(
    train: Train, database: Database, files: Files
) -> None:
    run = train(strategy={"kind": "head"})
    assert run.state == "succeeded", run.error
    assert run.spec["epochs"] is None
    assert run.step == run.steps > 0
    assert run.results is not None and run.metrics is not None
    assert list(run.results["poolings"]) == ["the first token", "the mean of the tokens"]
    own = run.results["poolings"]["the first token"]
    assert own["accuracy"] == run.metrics["accuracy"]
    assert own["log_loss"] == pytest.approx(run.metrics["log_loss"], rel=1e-3)
    assert run.results["advice"] is None
    folder = files.model(run.id)
    assert (folder / "modules.json").exists() and (folder / "2_Dense" / "model.safetensors").exists()
    assert "SentenceTransformer" in (folder / "README.md").read_text()
    assert "66 of 23,746 parameters learn" in said(database, run)


def test_a_chain_goes_on_from_a_fitted_head(train: Train) -> None:
    first = train(strategy={"kind": "head"})
    second = train(model=f"run:{first.id}", strategy={"kind": "head"})
    assert second.state == "succeeded", second.error
    assert first.metrics and second.metrics
    assert second.metrics["accuracy"] == first.metrics["accuracy"]


def test_the_head_is_fitted_before_the_rest_learns(train: Train, database: Database, files: Files) -> None:
    run = train(strategy={"kind": "full", "head_first": True}, epochs=1, learning_rate=1e-4)
    assert run.state == "succeeded", run.error
    assert run.results is not None and run.metrics is not None
    first = run.results["head_first"]
    assert set(first["metrics"]) == set(run.metrics) and first["iterations"] > 0
    assert "The head was fitted first, on the frozen model, in " in said(database, run)
    kept = load_file(files.attempt(run.id, 1) / HEAD_ONLY)
    ended = load_file(files.model(run.id) / "model.safetensors")
    assert set(kept) < set(ended)
    assert any(not name.startswith("bert.") for name in kept)


def test_epochs_of_a_fitted_head_are_refused(train: Train) -> None:
    with pytest.raises(Invalid, match="epochs: means nothing for a head that is fitted to convergence"):
        train(strategy={"kind": "head", "fit": "converge"}, epochs=3)


def test_a_training_does_not_go_on_from_a_fitted_head(train: Train, database: Database) -> None:
    first = train(strategy={"kind": "head"})
    second = train(model=f"run:{first.id}", strategy={"kind": "full"}, epochs=1)
    assert second.state == "succeeded", second.error
    assert "its head is replaced by a new one" in said(database, second)
