"""run:ID: which runs are models, and what makes their weights the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.core import attempts
from app.core.db import Database
from app.core.errors import Invalid
from app.core.files import Files
from app.core.settings import Settings
from app.models.catalog import ModelCatalog
from app.models.finished import family_of, finished_run, finished_runs, folder_sha256
from tests.conftest import TurnedClock
from tests.models.conftest import BERT, model_files

LABELS = {"id2label": {"1": "yes", "0": "no", "10": "never", "2": "maybe"}}


@pytest.fixture
def catalog(settings: Settings, database: Database, files: Files) -> ModelCatalog:
    return ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))


@pytest.fixture
def finish(
    database: Database, files: Files, queue_run: Callable[[], str], clock: TurnedClock
) -> Callable[..., str]:
    """A run that is over in `state`, with a model folder unless `model` is False."""

    def end(state: str = "succeeded", model: bool = True) -> str:
        run_id = queue_run()
        with database.write() as session:
            attempts.claim(session, run_id, clock())
            attempts.finish(session, run_id, 1, state, clock())
        if model:
            folder = files.model(run_id)
            folder.mkdir(parents=True)
            for name, content in model_files({**BERT, **LABELS}).items():
                (folder / name).write_bytes(content)
        return run_id

    return end


def refusal(catalog: ModelCatalog, run_id: str) -> str:
    with pytest.raises(Invalid) as caught:
        catalog.find(f"run:{run_id}")
    assert caught.value.kind == "model"
    return caught.value.message


def test_a_finished_run_is_a_model(catalog: ModelCatalog, finish: Callable[..., str], files: Files) -> None:
    run_id = finish()

    info = catalog.find(f"run:{run_id}")

    assert (info.id, info.kind, info.title, info.family) == (f"run:{run_id}", "run", "Reviews", "bert")
    assert info.path == files.model(run_id)
    assert "classification" in info.tasks


def test_a_cancelled_run_with_weights_is_one_too(catalog: ModelCatalog, finish: Callable[..., str]) -> None:
    assert catalog.find(f"run:{finish('cancelled')}").kind == "run"


def test_a_run_without_a_model_says_why(
    catalog: ModelCatalog, finish: Callable[..., str], queue_run: Callable[[], str]
) -> None:
    assert "has failed without a model" in refusal(catalog, finish("failed", model=False))
    assert "is queued yet: wait" in refusal(catalog, queue_run())
    assert "there is no such run" in refusal(catalog, "000000000000")
    assert "there is no such run" in refusal(catalog, "../../etc")


def test_labels_come_in_the_order_of_their_numbers(
    database: Database, files: Files, finish: Callable[..., str]
) -> None:
    found = finished_run(database, files, finish())

    assert found is not None
    assert found.labels == ["no", "yes", "maybe", "never"]


def test_other_weights_have_another_hash(tmp_path: Path) -> None:
    for name, content in model_files().items():
        (tmp_path / name).write_bytes(content)
    before = folder_sha256(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert folder_sha256(tmp_path) == before

    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")

    assert folder_sha256(tmp_path) != before


def test_the_runs_that_have_a_model_are_listed_newest_first(
    database: Database, files: Files, finish: Callable[..., str], clock: TurnedClock
) -> None:
    first = finish()
    clock.turn(10)
    finish("failed", model=False)
    last = finish("cancelled")

    found = finished_runs(database, files)

    assert [run.id for run in found] == [last, first]
    assert [run.id for run in finished_runs(database, files, most=1)] == [last]
    assert {family_of(run) for run in found} == {"bert"}
    (files.model(first) / "config.json").write_text("[]")
    assert family_of(found[1]) == ""
