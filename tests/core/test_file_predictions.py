"""Files to be predicted: one process at a time has one, none is lost, none is tried for ever."""

from collections.abc import Callable

import pytest

from app.core import file_predictions as store
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.runs import MAX_FAILURES
from app.core.side_jobs import LEASE_SECONDS, LostJob
from tests.conftest import TurnedClock

Add = Callable[..., tuple[str, str]]


@pytest.fixture
def add(database: Database, queue_run: Callable[[], str], clock: TurnedClock) -> Add:
    """A queued file of a new run: (run, file)."""

    def new(name: str = "new.csv") -> tuple[str, str]:
        run_id = queue_run()
        with database.write() as session:
            return run_id, store.create(session, run_id, name, {"text": "text"}, clock()).id

    return new


def claimed(database: Database, now: float) -> tuple[str, int] | None:
    with database.write() as session:
        found = store.claim(session, now)
        return (found[0].id, found[1]) if found else None


def state_of(database: Database, run_id: str, file_id: str) -> str:
    with database.read() as session:
        return str(store.get(session, run_id, file_id).state)


def test_the_oldest_is_taken_once(database: Database, add: Add, clock: TurnedClock) -> None:
    first, second = add()[1], add()[1]

    assert claimed(database, clock()) == (first, 1)
    assert claimed(database, clock()) == (second, 1)
    assert claimed(database, clock()) is None
    with database.read() as session:
        assert not store.waiting(session, clock())


def test_a_file_whose_process_fell_silent_is_taken_again_and_the_first_may_write_no_more(
    database: Database, add: Add, clock: TurnedClock
) -> None:
    _, file_id = add()
    claimed(database, clock())
    clock.turn(LEASE_SECONDS + 1)

    assert claimed(database, clock()) == (file_id, 2)

    with pytest.raises(LostJob), database.write() as session:
        store.record(session, file_id, 1, clock(), done=3)
    with pytest.raises(LostJob), database.write() as session:
        store.finish(session, file_id, 1, "succeeded", clock())


def test_news_keep_the_lease(database: Database, add: Add, clock: TurnedClock) -> None:
    _, file_id = add()
    claimed(database, clock())
    for _ in range(3):
        clock.turn(LEASE_SECONDS - 1)
        with database.write() as session:
            assert store.record(session, file_id, 1, clock(), done=1) is False
    assert claimed(database, clock()) is None


def test_a_file_that_ends_its_process_each_time_fails(
    database: Database, add: Add, clock: TurnedClock
) -> None:
    run_id, file_id = add()
    for attempt in range(1, MAX_FAILURES + 1):
        assert claimed(database, clock()) == (file_id, attempt)
        clock.turn(LEASE_SECONDS + 1)

    assert claimed(database, clock()) is None

    assert state_of(database, run_id, file_id) == "failed"


def test_cancelling(database: Database, add: Add, clock: TurnedClock) -> None:
    waiting, running = add(), add()
    with database.write() as session:
        store.request_cancel(session, *waiting, clock())
    assert state_of(database, *waiting) == "cancelled"
    claimed(database, clock())
    with database.write() as session:
        store.request_cancel(session, *running, clock())
        assert store.record(session, running[1], 1, clock()) is True
        store.finish(session, running[1], 1, "cancelled", clock())
        store.request_cancel(session, *running, clock())  # twice is no error
    with database.write() as session:
        store.retry(session, *running, {"text": "other"})
        assert store.view(store.get(session, *running))["columns"] == {"text": "other"}
    assert claimed(database, clock()) == (running[1], 2)


def test_a_cancelled_file_whose_process_died_is_over(
    database: Database, add: Add, clock: TurnedClock
) -> None:
    where = add()
    claimed(database, clock())
    with database.write() as session:
        store.request_cancel(session, *where, clock())
    clock.turn(LEASE_SECONDS + 1)

    assert claimed(database, clock()) is None
    assert state_of(database, *where) == "cancelled"


def test_moves_in_the_wrong_state_are_conflicts(database: Database, add: Add, clock: TurnedClock) -> None:
    run_id, file_id = add()
    claimed(database, clock())
    with pytest.raises(Conflict, match="cancel it before"), database.write() as session:
        store.remove(session, run_id, file_id)
    with pytest.raises(Conflict, match="nothing to try again"), database.write() as session:
        store.retry(session, run_id, file_id, {})
    with database.write() as session:
        store.finish(session, file_id, 1, "succeeded", clock())
    with pytest.raises(Conflict, match="succeeded already"), database.write() as session:
        store.request_cancel(session, run_id, file_id, clock())
    with pytest.raises(NotFound), database.write() as session:
        store.remove(session, "000000000000", file_id)
    with database.write() as session:
        store.remove(session, run_id, file_id)
    with pytest.raises(NotFound), database.read() as session:
        store.get(session, run_id, file_id)
