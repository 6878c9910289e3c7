"""Every failure is of a class, and every class has its advice."""

from collections.abc import Callable

import pytest

from app.core import attempts, runs
from app.core.db import Database
from app.core.reasons import ADVICE, CLASSES, class_of, classed
from tests.conftest import TurnedClock


def test_every_class_says_what_to_do() -> None:
    assert set(ADVICE) == set(CLASSES)
    assert {class_of(one) for one in CLASSES} == set(CLASSES)
    assert class_of(None) == class_of("") == "bug"


@pytest.mark.parametrize("kind", ["invalid", "csv", "no_header", "not_found"])
def test_what_is_wrong_with_a_file_or_its_columns_is_about_the_data(kind: str) -> None:
    assert class_of(kind) == "data"


@pytest.mark.parametrize(("kind", "found"), [("invalid", "data"), ("diverged", "training"), ("disk", "disk")])
def test_a_run_keeps_the_class_of_its_failure(
    kind: str, found: str, database: Database, queue_run: Callable[[], str], clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempt = attempts.claim(session, run_id, clock())
        assert attempt is not None
        fault = {"kind": kind, "message": "It went wrong.", "traceback": "line 1"}
        attempts.fail_or_retry(session, run_id, attempt, fault, True, clock())
        assert runs.get(session, run_id).error == {**fault, "kind": found}


def test_nothing_else_of_an_error_changes() -> None:
    error = {"kind": "csv", "message": "m", "problems": [{"where": "line 3", "message": "m"}]}
    assert classed(error) == {**error, "kind": "data"}
