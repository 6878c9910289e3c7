"""Every kind of error that the code knows is of a class, and every class has its advice."""

import re
from pathlib import Path

import pytest

from app.core import attempts, runs
from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.reasons import ADVICE, CLASSES, class_of, classed
from tests.conftest import TurnedClock

ROOT = Path(__file__).parents[2]
ROOMS = ("app/core", "app/datasets", "app/models", "app/tasks", "worker")


def raised_kinds() -> set[str]:
    """The kinds that errors are given, by reading the code."""
    found = {one.kind for one in [HeadstartError, *HeadstartError.__subclasses__()]}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for call in re.findall(r"(?:Invalid|HeadstartError|from_problems)\((.*?)\n\n", text, re.DOTALL):
                found |= set(re.findall(r'\bkind="(\w+)"', call))
            found |= set(re.findall(r'"kind": "(\w+)", "message"', text))
    return found


def test_only_a_bug_is_taken_for_a_bug() -> None:
    kinds = raised_kinds()
    assert {"model", "memory", "csv", "network", "training"} <= kinds  # the search finds them
    # "refused" is of requests: no run ends by it.
    assert {kind for kind in kinds if class_of(kind) == "bug"} <= {"bug", "refused"}


def test_every_class_says_what_to_do() -> None:
    assert set(ADVICE) == set(CLASSES)
    assert {class_of(one) for one in CLASSES} == set(CLASSES)
    assert class_of(None) == class_of("never heard of") == "bug"


@pytest.mark.parametrize(("kind", "found"), [("invalid", "data"), ("diverged", "training"), ("disk", "disk")])
def test_a_run_keeps_the_class_of_its_failure(
    kind: str, found: str, database: Database, queue_run: "object", clock: TurnedClock
) -> None:
    run_id = queue_run()  # type: ignore[operator]
    with database.write() as session:
        attempt = attempts.claim(session, run_id, clock())
        assert attempt is not None
        fault = {"kind": kind, "message": "It went wrong.", "traceback": "line 1"}
        attempts.fail_or_retry(session, run_id, attempt, fault, True, clock())
        assert runs.get(session, run_id).error == {**fault, "kind": found}


def test_nothing_else_of_an_error_changes() -> None:
    error = {"kind": "csv", "message": "m", "problems": [{"where": "line 3", "message": "m"}]}
    assert classed(error) == {**error, "kind": "data"}
