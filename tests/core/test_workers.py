"""Which workers there are, by their heartbeat."""

from app.core import workers
from app.core.db import Database
from app.core.runs import LEASE_SECONDS
from app.core.tables import Worker
from tests.conftest import TurnedClock


def worker(name: str, now: float, host: str = "here", pid: int = 1, space: str = "") -> Worker:
    return Worker(id=name, host=host, pid=pid, pid_started=1.0, pid_space=space, started_at=now, heard_at=now)


def test_a_worker_is_there_while_it_beats_and_silent_after_a_lease(
    database: Database, clock: TurnedClock
) -> None:
    one = worker("one", clock())
    with database.write() as session:
        assert not workers.any_alive(session, clock())
        workers.beat(session, one, clock(), lambda *_: True)
        assert workers.any_alive(session, clock())
        clock.turn(LEASE_SECONDS + 1)
        [view] = workers.views(session, clock())
        assert (view["alive"], view["heard_at"]) == (False, view["started_at"])
        workers.beat(session, one, clock(), lambda *_: True)
        assert workers.any_alive(session, clock())
        workers.leave(session, "one")
        assert workers.views(session, clock()) == []


def test_a_beat_removes_the_dead_of_its_own_machine_and_keeps_the_stuck(
    database: Database, clock: TurnedClock
) -> None:
    with database.write() as session:
        for one in (
            worker("dead", clock(), pid=2),
            worker("stuck", clock(), pid=3),
            worker("far", clock(), "there"),
        ):
            session.add(one)
        clock.turn(60)
        workers.beat(session, worker("new", clock()), clock(), lambda pid, _started: pid == 3)
        assert [view["id"] for view in workers.views(session, clock())] == ["far", "stuck", "new"]
        clock.turn(workers.FORGOTTEN_SECONDS)
        workers.beat(session, worker("new", clock()), clock(), lambda pid, _started: pid == 3)
        assert [view["id"] for view in workers.views(session, clock())] == ["new"]


def test_a_beat_tells_who_has_ended_for_sure(database: Database, clock: TurnedClock) -> None:
    with database.write() as session:
        for one in (
            worker("dead", clock(), pid=2),
            worker("contained", clock(), pid=3, space="a container's"),
            worker("far", clock(), "there", pid=4),
        ):
            session.add(one)
        assert workers.beat(session, worker("new", clock()), clock(), lambda *_: False) == ["dead"]
        assert [view["id"] for view in workers.views(session, clock())] == ["contained", "far", "new"]
        clock.turn(LEASE_SECONDS + 1)
        assert workers.beat(session, worker("new", clock()), clock(), lambda *_: False) == []
        assert [view["id"] for view in workers.views(session, clock())] == ["far", "new"]
