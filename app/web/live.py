"""Live events: one database tail per watched run, however many watch it.

    trainer ─▶ event table ─▶ Tail (one per run, 4 polls a second) ─▶ Subscription queues ─▶ SSE
                          └─▶ Summary (one for all pages, 1 poll a second) ─▶ pages' headers and the list of runs

A subscriber first reads from the database what lies between its own position and the tail's, then takes what the
tail delivers. If it is too slow for its queue it goes back to the database. So nothing is lost and nothing comes
twice: every subscriber knows the last seq that it has passed on.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from app.core import events, queue_order, runs, workers
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.core.tables import FINAL_STATES, Event, Run

log = logging.getLogger("headstart.web")
PAGE = 500
QUEUE_SIZE = 2000
# Runs that are not over in the summary: as many as the list of runs shows.
MAX_ACTIVE = 500
# So long a run may wait before its page says that no worker is there: one that starts takes a few seconds.
UNCLAIMED_SECONDS = 10.0


@dataclass(frozen=True)
class LiveEvent:
    """`kind`: point, state, log or rewind. `seq` counts per run."""

    run_id: str
    seq: int
    kind: str
    payload: dict[str, Any]
    time: float = 0.0

    def data(self) -> dict[str, Any]:
        """What a client gets: the payload, and for a line of the log its time."""
        return {**self.payload, "time": rfc3339(self.time)} if self.kind == "log" else self.payload


class Subscription:
    """One reader's position in one run's events. Iterate over `events()`; close it in a finally."""

    def __init__(self, hub: "LiveHub", run_id: str, after: int) -> None:
        self.run_id = run_id
        self.seen = after
        self.queue: asyncio.Queue[LiveEvent | None] = asyncio.Queue(QUEUE_SIZE)
        self.behind = True  # there may be events in the database that the tail will not deliver
        self._hub = hub

    async def events(self) -> AsyncIterator[LiveEvent]:
        """Ends when the run is over and everything has been delivered, or when the hub closes."""
        ended = False
        while True:
            if self.behind and not self._hub.closing:
                self.behind = False
                while page := await self._hub.read(self.run_id, self.seen):
                    for event in page:
                        self.seen = event.seq
                        yield event
            if ended:
                return
            item = await self.queue.get()
            if item is None:
                ended = True  # once more round the loop: the queue may have been dropped before
            elif item.seq > self.seen:
                self.seen = item.seq
                yield item

    def offer(self, event: LiveEvent | None) -> None:
        """Called by the tail. A full queue is dropped: the database has it all."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.behind = True
            self.queue.put_nowait(event)

    def close(self) -> None:
        self._hub.unsubscribe(self)


class Tail:
    """Follows one run in the database and hands its events on."""

    def __init__(self, hub: "LiveHub", run_id: str, cursor: int) -> None:
        self.hub = hub
        self.run_id = run_id
        self.cursor = cursor
        self.subscriptions: set[Subscription] = set()
        self.task = asyncio.create_task(self._follow(), name=f"tail-{run_id}")

    async def _follow(self) -> None:
        page: list[LiveEvent] = []
        over = False
        while page or not over:
            try:
                page, over = await run_in_threadpool(self._poll)
            except SQLAlchemyError:
                log.exception("reading the events of run %s failed; it is tried again", self.run_id)
                page, over = [], False
            for event in page:
                self.cursor = event.seq
                self._hand_out(event)
            if len(page) < PAGE and not (over and not page):
                await asyncio.sleep(self.hub.interval)
        self.hub.forget(self)
        self._hand_out(None)

    def _hand_out(self, event: LiveEvent | None) -> None:
        for subscription in tuple(self.subscriptions):
            subscription.offer(event)

    def _poll(self) -> tuple[list[LiveEvent], bool]:
        self.hub.polls += 1
        with self.hub.database.read() as session:
            state = session.execute(select(col(Run.state)).where(col(Run.id) == self.run_id)).scalar()
            found = events.after(session, self.run_id, self.cursor, PAGE)
        return [_live(event) for event in found], state is None or state in FINAL_STATES


class LiveHub:
    """All tails of this process. Made in the event loop's process; used from the event loop only."""

    def __init__(self, database: Database, interval: float = 0.25, clock: Clock = time.time) -> None:
        self.database = database
        self.interval = interval
        self.clock = clock
        self.polls = 0  # how often a tail asked the database
        self.closing = False
        self.tails: dict[str, Tail] = {}
        self.summary = Summary(self)

    def subscribe(self, run_id: str, after: int, newest: int) -> Subscription:
        """Follows a run behind `after`. `newest`: the run's event_seq as the caller has just read it."""
        subscription = Subscription(self, run_id, min(after, newest))
        if self.closing:
            subscription.behind = False
            subscription.offer(None)
            return subscription
        tail = self.tails.get(run_id)
        if tail is None:
            tail = self.tails[run_id] = Tail(self, run_id, newest)
        tail.subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """The last one to leave stops the tail."""
        tail = self.tails.get(subscription.run_id)
        if tail is None:
            return
        tail.subscriptions.discard(subscription)
        if not tail.subscriptions:
            self.forget(tail)
            tail.task.cancel()

    def forget(self, tail: Tail) -> None:
        if self.tails.get(tail.run_id) is tail:
            del self.tails[tail.run_id]

    async def read(self, run_id: str, after: int) -> list[LiveEvent]:
        """A page of stored events behind `after`."""

        def query() -> list[LiveEvent]:
            with self.database.read() as session:
                return [_live(event) for event in events.after(session, run_id, after, PAGE)]

        return await run_in_threadpool(query)

    def close(self) -> None:
        """Ends every open stream at once: a server that stops must not wait for its viewers."""
        self.closing = True
        for tail in list(self.tails.values()):
            tail.task.cancel()
            for subscription in tuple(tail.subscriptions):
                subscription.offer(None)
        self.tails.clear()
        self.summary.close()


class Summary:
    """What every page shows: how many runs are in which state, and the progress of those that are not over.

    Readers wait for a newer `number`; nobody reading, nobody polling.
    """

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._readers = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self.number = 0
        self.value: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        self._readers += 1
        if self._task is None and not self._hub.closing:
            self._task = asyncio.create_task(self._follow(), name="summary")
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def newer(self, number: int) -> tuple[int, dict[str, Any]] | None:
        """The summary once it is newer than `number`; None when the hub closes."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.number > number or self._hub.closing)
            return None if self._hub.closing else (self.number, self.value)

    async def _follow(self) -> None:
        while True:
            value = self.value
            with contextlib.suppress(SQLAlchemyError):  # a busy database: the next poll will do
                value = await run_in_threadpool(summarise, self._hub.database, self._hub.clock())
            if value != self.value:
                async with self._changed:
                    self.value, self.number = value, self.number + 1
                    self._changed.notify_all()
            await asyncio.sleep(4 * self._hub.interval)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

        async def wake() -> None:
            async with self._changed:
                self._changed.notify_all()

        with contextlib.suppress(RuntimeError):  # no loop: nobody waits
            self._waking = asyncio.get_running_loop().create_task(wake())


def summarise(database: Database, now: float) -> dict[str, Any]:
    """{"counts": {state: n}, "runs": [state payloads of the runs that are not over, running ones first], "workers": [{"id", "alive", "runs"}]}

    Beside its payload each run says what no event tells: `stalled` and `unclaimed`, which come by time passing, and its
    `place` in the queue, which changes when others end.
    """
    with database.read() as session:
        counts = runs.counts(session)
        query = select(Run).where(col(Run.state).not_in(FINAL_STATES))
        query = query.order_by(col(Run.state) == "queued", col(Run.created_at).desc())
        places, there = queue_order.places(session), workers.views(session, now)
        alive = any(one["alive"] for one in there)
        active = [
            {
                **runs.state_payload(run),
                "stalled": runs.is_lost(run, now),
                "unclaimed": unclaimed(run, alive, now),
                "place": places.get(run.id, (None, ""))[0],
                "behind": places.get(run.id, (None, ""))[1],
            }
            for run in session.execute(query.limit(MAX_ACTIVE)).scalars()
        ]
    seen = [{"id": one["id"], "alive": one["alive"], "runs": len(one["runs"])} for one in there]
    return {"counts": counts, "runs": active, "workers": seen}


def unclaimed(run: Run, alive: bool, now: float) -> bool:
    """Whether a run waits and no worker is there to take it."""
    return run.state == "queued" and not alive and now - run.queued_at > UNCLAIMED_SECONDS


def _live(event: Event) -> LiveEvent:
    return LiveEvent(event.run_id, event.seq, event.kind, event.payload, event.time)
