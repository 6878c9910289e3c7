"""The hub: nothing lost, nothing twice, one tail per run however many watch it."""

import asyncio
from collections.abc import Callable

import pytest

from app.core import attempts, events, runs
from app.core.attempts import Batch
from app.core.db import Database
from app.core.tables import Worker
from app.web.live import LiveEvent, LiveHub, Subscription, summarise
from tests.conftest import TurnedClock

Queue = Callable[[], str]


def write_logs(database: Database, run_id: str, count: int) -> None:
    with database.write() as session:
        for number in range(count):
            events.append(session, run_id, "log", {"level": "info", "message": str(number)}, 1.0)


def cancel(database: Database, run_id: str) -> None:
    with database.write() as session:
        runs.request_cancel(session, run_id, 2.0)


def newest(database: Database, run_id: str) -> int:
    with database.read() as session:
        return runs.get(session, run_id).event_seq


async def all_of(subscription: Subscription) -> list[LiveEvent]:
    try:
        return [event async for event in subscription.events()]
    finally:
        subscription.close()


async def first_of(subscription: Subscription, count: int) -> list[int]:
    seqs = []
    async for event in subscription.events():
        seqs.append(event.seq)
        if len(seqs) == count:
            break
    return seqs


def test_a_watcher_gets_the_past_then_the_present_then_the_end(database: Database, queue_run: Queue) -> None:
    run_id = queue_run()
    write_logs(database, run_id, 3)

    async def scenario() -> list[LiveEvent]:
        hub = LiveHub(database, interval=0.001)
        subscription = hub.subscribe(run_id, 0, newest(database, run_id))
        task = asyncio.create_task(all_of(subscription))
        while hub.polls == 0:
            await asyncio.sleep(0)
        await asyncio.to_thread(write_logs, database, run_id, 2)
        await asyncio.to_thread(cancel, database, run_id)
        return await task

    got = asyncio.run(scenario())
    assert [event.seq for event in got] == [1, 2, 3, 4, 5, 6, 7]
    assert got[-1].kind == "state" and got[-1].payload["state"] == "cancelled"


@pytest.mark.parametrize("after", [0, 2, 4, 999])
def test_a_finished_run_is_told_from_where_the_watcher_was(
    database: Database, queue_run: Queue, after: int
) -> None:
    run_id = queue_run()
    write_logs(database, run_id, 2)
    cancel(database, run_id)

    async def scenario() -> list[LiveEvent]:
        hub = LiveHub(database, interval=0.001)
        return await all_of(hub.subscribe(run_id, after, newest(database, run_id)))

    assert [event.seq for event in asyncio.run(scenario())] == list(range(min(after, 4) + 1, 5))


def test_many_watchers_share_one_tail_and_the_last_one_stops_it(database: Database, queue_run: Queue) -> None:
    run_id = queue_run()

    async def scenario() -> None:
        hub = LiveHub(database, interval=0.001)
        subscriptions = [hub.subscribe(run_id, 0, 1) for _ in range(50)]
        tasks = [asyncio.create_task(first_of(one, 4)) for one in subscriptions]
        assert len(hub.tails) == 1
        while hub.polls == 0:
            await asyncio.sleep(0)
        before = hub.polls
        await asyncio.to_thread(write_logs, database, run_id, 3)
        assert await asyncio.gather(*tasks) == [[1, 2, 3, 4]] * 50
        # One tail polled for all: far fewer polls than watchers times events.
        assert hub.polls - before < 50 * 3
        tail = hub.tails[run_id]
        for one in subscriptions[:-1]:
            one.close()
        assert hub.tails == {run_id: tail}
        subscriptions[-1].close()
        assert hub.tails == {}
        await asyncio.wait([tail.task])
        assert tail.task.cancelled()

    asyncio.run(scenario())


def test_a_slow_watcher_loses_nothing(
    database: Database, queue_run: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.live.QUEUE_SIZE", 5)
    run_id = queue_run()

    async def scenario() -> list[LiveEvent]:
        hub = LiveHub(database, interval=0.001)
        subscription = hub.subscribe(run_id, 0, 1)
        iterator = subscription.events()
        got = [await anext(iterator)]
        await asyncio.to_thread(write_logs, database, run_id, 40)
        await asyncio.to_thread(cancel, database, run_id)
        while hub.tails:  # until the tail has handed out everything and ended
            await asyncio.sleep(0.001)
        return got + [event async for event in iterator]

    assert [event.seq for event in asyncio.run(scenario())] == list(range(1, 43))


def test_close_ends_every_stream(database: Database, queue_run: Queue) -> None:
    run_id = queue_run()

    async def scenario() -> None:
        hub = LiveHub(database, interval=0.001)
        watching = asyncio.create_task(all_of(hub.subscribe(run_id, 0, 1)))

        async def read_summaries() -> None:
            seen = 0
            async with hub.summary.reading():
                while (news := await hub.summary.newer(seen)) is not None:
                    seen = news[0]

        reading = asyncio.create_task(read_summaries())
        while hub.polls == 0 or hub.summary.number == 0:
            await asyncio.sleep(0)
        hub.close()
        await asyncio.gather(watching, reading)
        assert await all_of(hub.subscribe(run_id, 0, 1)) == []

    asyncio.run(scenario())


def test_a_deleted_run_ends_the_stream(database: Database, queue_run: Queue) -> None:
    run_id = queue_run()

    async def scenario() -> list[LiveEvent]:
        hub = LiveHub(database, interval=0.001)
        task = asyncio.create_task(all_of(hub.subscribe(run_id, 0, 1)))
        while hub.polls == 0:
            await asyncio.sleep(0)
        await asyncio.to_thread(cancel, database, run_id)

        def delete() -> None:
            with database.write() as session:
                runs.remove(session, run_id)

        await asyncio.to_thread(delete)
        return await task

    assert asyncio.run(scenario())[0].seq == 1


def test_the_summary_tells_what_is_not_over(database: Database, queue_run: Queue) -> None:
    waiting, running, over = queue_run(), queue_run(), queue_run()
    with database.write() as session:
        attempt = attempts.claim(session, running, 5.0)
        assert attempt is not None
        attempts.record(session, running, attempt, Batch(progress={"step": 7, "steps": 9}), 5.0)
    cancel(database, over)
    told = summarise(database, 6.0)
    assert told["counts"] == {"queued": 1, "running": 1, "cancelled": 1}
    assert [(run["id"], run["step"]) for run in told["runs"]] == [(running, 7), (waiting, 0)]


def test_the_summary_tells_what_only_time_brings(
    database: Database, queue_run: Queue, clock: TurnedClock
) -> None:
    first, second, third = queue_run(), queue_run(), queue_run()

    def told(*names: str) -> dict[str, tuple[object, ...]]:
        summary = summarise(database, clock())
        return {run["id"]: tuple(run[name] for name in names) for run in summary["runs"]}

    assert told("place", "unclaimed") == {first: (0, False), second: (1, False), third: (2, False)}
    clock.turn(60)
    assert told("unclaimed") == {first: (True,), second: (True,), third: (True,)}
    with database.write() as session:
        attempts.claim(session, first, clock())
        session.add(Worker(id="w", host="h", pid=1, pid_started=1.0, started_at=clock(), heard_at=clock()))
    assert told("place", "unclaimed", "stalled") == {
        first: (None, False, False),
        second: (0, False, False),
        third: (1, False, False),
    }
    clock.turn(60)  # the worker says nothing any more
    assert told("stalled")[first] == (True,)


def test_the_summary_is_polled_only_while_somebody_reads(database: Database, queue_run: Queue) -> None:
    async def scenario() -> None:
        hub = LiveHub(database, interval=0.001)
        async with hub.summary.reading(), hub.summary.reading():
            first = await hub.summary.newer(0)
            assert first is not None
            await asyncio.to_thread(queue_run)
            second = await hub.summary.newer(first[0])
            assert second is not None and second[1]["counts"] == {"queued": 1}
            assert hub.summary._task is not None
        assert hub.summary._task is None

    asyncio.run(scenario())
