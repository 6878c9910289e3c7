"""Searches for wrong labels: one process at a time has one, none is lost, none is tried for ever."""

from collections.abc import Callable

import pytest

from app.core import attempts, label_checks, runs
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.runs import MAX_FAILURES
from app.core.side_jobs import LEASE_SECONDS, LostJob
from tests.conftest import TurnedClock


@pytest.fixture
def run_id(database: Database, queue_run: Callable[[], str], clock: TurnedClock) -> str:
    """A run that has succeeded."""
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "succeeded", clock())
    return run_id


def request(database: Database, run_id: str, now: float) -> str:
    with database.write() as session:
        return label_checks.request(session, run_id, now).state


def claim(database: Database, now: float) -> tuple[str, int] | None:
    with database.write() as session:
        return label_checks.claim(session, now)


def state(database: Database, run_id: str) -> str:
    with database.read() as session:
        return str(label_checks.view(label_checks.find(session, run_id))["state"])


def test_a_search_is_asked_for_once_taken_once_and_can_be_asked_for_again(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    assert state(database, run_id) == "none" and claim(database, clock()) is None
    assert request(database, run_id, clock()) == request(database, run_id, clock()) == "queued"

    assert claim(database, clock()) == (run_id, 1)
    assert claim(database, clock()) is None
    assert request(database, run_id, clock()) == "running"
    with database.write() as session:
        assert not label_checks.record(session, run_id, 1, clock(), phase="comparing words", progress=0.5)
        label_checks.finish(session, run_id, 1, "succeeded", clock())
    assert state(database, run_id) == "succeeded"

    with database.write() as session:
        assert label_checks.request(session, run_id, clock(), "local:larger").model == "local:larger"
    assert request(database, run_id, clock()) == "queued"  # as it is: one that waits does not change
    with database.read() as session:
        found = label_checks.find(session, run_id)
        assert found is not None and found.model == "local:larger"
        assert label_checks.view(label_checks.find(session, run_id))["progress"] == 0.0


def test_only_a_run_that_succeeded_says_anything_of_its_labels(
    database: Database, queue_run: Callable[[], str], clock: TurnedClock
) -> None:
    with pytest.raises(Conflict, match="only a run that succeeded"):
        request(database, queue_run(), clock())
    with pytest.raises(NotFound):
        request(database, "a" * 12, clock())


def test_one_whose_process_fell_silent_is_taken_again_and_the_first_may_write_no_more(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    request(database, run_id, clock())
    claim(database, clock())
    clock.turn(LEASE_SECONDS + 1)

    assert claim(database, clock()) == (run_id, 2)

    with pytest.raises(LostJob), database.write() as session:
        label_checks.record(session, run_id, 1, clock(), progress=0.3)


def test_one_that_ends_its_process_each_time_fails(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    request(database, run_id, clock())
    for _ in range(MAX_FAILURES):
        assert claim(database, clock()) is not None
        clock.turn(LEASE_SECONDS + 1)
    assert claim(database, clock()) is None
    assert state(database, run_id) == "failed"


def test_a_cancel_ends_a_waiting_search_and_tells_a_running_one(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    with pytest.raises(Conflict), database.write() as session:
        label_checks.request_cancel(session, run_id, clock())
    request(database, run_id, clock())
    with database.write() as session:
        assert label_checks.request_cancel(session, run_id, clock()).state == "cancelled"
    request(database, run_id, clock())
    claim(database, clock())
    with database.write() as session:
        label_checks.request_cancel(session, run_id, clock())
        assert label_checks.record(session, run_id, 1, clock(), progress=0.1)


def test_it_goes_with_its_run(database: Database, run_id: str, clock: TurnedClock) -> None:
    request(database, run_id, clock())
    claim(database, clock())
    with database.write() as session:
        runs.remove(session, run_id)
    with pytest.raises(LostJob), database.write() as session:
        label_checks.record(session, run_id, 1, clock(), progress=0.5)
