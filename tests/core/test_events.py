"""Events keep their numbers; points are unique on (run, series, step)."""

import math
from collections.abc import Callable

from app.core import events
from app.core.db import Database
from app.core.events import PointValue
from tests.conftest import TurnedClock

QueueRun = Callable[[], str]


def test_each_run_counts_its_own_events_without_gaps(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    one, two = queue_run(), queue_run()
    with database.write() as session:
        for number in range(3):
            for run_id in (one, two):
                events.append(session, run_id, "log", {"message": str(number)}, clock())
    with database.read() as session:
        for run_id in (one, two):
            assert [event.seq for event in events.after(session, run_id, 0)] == [1, 2, 3, 4]
            assert [event.seq for event in events.after(session, run_id, 3)] == [4]


def test_a_rolled_back_event_does_not_use_up_a_number(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    try:
        with database.write() as session:
            events.append(session, run_id, "log", {}, clock())
            raise KeyError
    except KeyError:
        pass
    with database.write() as session:
        assert events.append(session, run_id, "log", {}, clock()) == 2


def test_a_repeated_step_replaces_its_point(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        events.write_points(session, run_id, [PointValue("train/loss", 1, 0.7, 5.0)], clock())
        events.write_points(session, run_id, [PointValue("train/loss", 1, 0.6, 6.0)], clock())
    with database.read() as session:
        found = events.read_points(session, run_id, ["train/loss"])
    assert found == {"train/loss": {"step": [1], "value": [0.6], "time": [6.0]}}


def test_not_a_number_becomes_null_and_an_unknown_series_is_empty(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        events.write_points(session, run_id, [PointValue("train/loss", 1, math.nan, 5.0)], clock())
    with database.read() as session:
        found = events.read_points(session, run_id, ["train/loss", "none/such"])
    assert found["train/loss"]["value"] == [None]
    assert found["none/such"] == {"step": [], "value": [], "time": []}


def test_a_rewind_drops_what_lies_behind_its_step(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    points = [PointValue("train/loss", step, 1.0 / step, 5.0) for step in range(1, 6)]
    with database.write() as session:
        events.write_points(session, run_id, points, clock())
        events.rewind(session, run_id, 3, clock())
    with database.read() as session:
        assert events.read_points(session, run_id)["train/loss"]["step"] == [1, 2, 3]
        assert events.after(session, run_id, 0)[-1].payload == {"step": 3}
