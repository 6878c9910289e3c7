"""Who starts next, and moves within the queue."""

from collections.abc import Callable

import pytest

from app.core import attempts, queue_order, runs
from app.core.attempts import Batch
from app.core.db import Database
from app.core.errors import Conflict
from tests.conftest import TurnedClock

QueueRun = Callable[[], str]


def order(database: Database) -> list[str]:
    with database.read() as session:
        return queue_order.queued_ids(session)


def test_the_first_queued_starts_first_and_each_knows_whom_it_stands_behind(
    database: Database, queue_run: QueueRun
) -> None:
    first, second, third = queue_run(), queue_run(), queue_run()
    with database.read() as session:
        assert queue_order.next_id(session) == first
        assert queue_order.places(session) == {first: (0, ""), second: (1, "Reviews"), third: (2, "Reviews")}


def test_a_released_run_keeps_its_place_and_a_resumed_one_goes_behind(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    first, second = queue_run(), queue_run()
    with database.write() as session:
        attempts.claim(session, first, clock())
        attempts.release(session, first, 1, "stopped", clock())
    assert order(database) == [first, second]
    with database.write() as session:
        runs.request_pause(session, first, clock())
        runs.request_resume(session, first, clock())
    assert order(database) == [second, first]


@pytest.mark.parametrize(
    ("to", "expected"), [("first", "caebd"), ("up", "acebd"), ("down", "aebcd"), ("last", "aebdc")]
)
def test_a_run_moves_within_the_queue(
    database: Database, queue_run: QueueRun, clock: TurnedClock, to: queue_order.Move, expected: str
) -> None:
    named = {name: queue_run() for name in "abcde"}
    with database.write() as session:
        queue_order.move(session, named["e"], "up", clock())
        for _ in range(2):
            queue_order.move(session, named["e"], "up", clock())
        queue_order.move(session, named["c"], "up", clock())
    assert order(database) == [named[name] for name in "aecbd"]
    with database.write() as session:
        queue_order.move(session, named["c"], to, clock())
    assert order(database) == [named[name] for name in expected]


def test_a_higher_priority_goes_first_and_later_runs_of_it_behind(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    first, second, third = queue_run(), queue_run(), queue_run()
    with database.write() as session:
        for run_id in (third, second):
            queue_order.set_priority(session, run_id, 1, clock())
    assert order(database) == [second, third, first]


def test_only_a_queued_run_moves(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
    with pytest.raises(Conflict, match="only a queued one has a place"), database.write() as session:
        queue_order.move(session, run_id, "first", clock())


def test_a_cancel_that_keeps_weights_goes_before_all_others(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    first, second = queue_run(), queue_run()
    with database.write() as session:
        attempts.claim(session, second, clock())
        attempts.record(session, second, 1, Batch(progress={"checkpoint_step": 4}), clock())
        runs.request_pause(session, second, clock())
        attempts.pause(session, second, 1, clock())
        run = runs.request_cancel(session, second, clock())
        assert (run.state, run.cancel_requested) == ("queued", True)
    assert order(database) == [second, first]
    with database.write() as session, pytest.raises(Conflict, match="goes first anyway"):
        queue_order.move(session, second, "last", clock())
