"""Whom a search asks: never a model that has seen the labels."""

from collections.abc import Callable

import numpy as np
import pytest

from app.core import attempts, runs
from app.core.db import Database
from app.core.files import new_id
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.models.finished import folder_sha256
from app.tasks.examples import Examples
from tests.worker.tiny import build_bert
from worker.label_search import LabelSearch, _some


@pytest.fixture
def chain(database: Database, spec: RunSpec, clock: Callable[[], float]) -> tuple[str, str]:
    """A run of the starter, and one that began with its model."""
    first, second = new_id(), new_id()
    with database.write() as session:
        runs.create(session, first, spec, "0" * 64, clock())
        attempts.claim(session, first, clock())
        attempts.finish(session, first, 1, "succeeded", clock())
        based = spec.model_copy(update={"model": f"run:{first}"})
        runs.create(session, second, based, "0" * 64, clock(), parent=(first, "1" * 64))
    return first, second


def test_a_run_of_a_chain_is_judged_by_the_pre_trained_model_at_its_begin_alone(
    settings: Settings, chain: tuple[str, str]
) -> None:
    first, second = (LabelSearch(settings, run) for run in chain)
    assert (first.root, first.alone) == ("starter", True)
    # The model of the first may have learned from rows that the second holds back.
    assert (second.root, second.alone) == ("starter", False)


def test_a_run_that_began_with_a_model_of_its_own_labels_asks_neither(
    settings: Settings, database: Database, chain: tuple[str, str]
) -> None:
    assert settings.models_dir is not None
    folder = build_bert(settings.models_dir / "tuned", ["a text"])
    notes: list[str] = []
    for learned in (False, True):
        if learned:
            with database.write() as session:
                runs.get(session, chain[1]).weights_sha256 = folder_sha256(folder)
        search = LabelSearch(settings, chain[0])
        search.root = "local:tuned"
        search._look_at_root(notes)
        assert (search.learned, search.alone, len(notes)) == (learned, not learned, int(learned))
    assert "learned from these labels" in notes[0]


def test_of_too_many_rows_some_are_drawn_that_stay_together_with_their_labels() -> None:
    rows = range(100)
    some = _some(Examples(list(rows), {"text": [str(row) for row in rows]}, ["train"] * 100), 30)
    assert len(some) == 30 and some.texts == [str(row) for row in some.row_ids]
    assert some.row_ids == sorted(some.row_ids) and np.ptp(some.row_ids) > 50
