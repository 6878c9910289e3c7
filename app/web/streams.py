"""Server-sent events: one run for programs, one stream for all that a browser watches.

A browser opens at most six connections to a host, so static/js/live.js shares a single /live among all tabs.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.core import runs
from app.core.errors import Invalid
from app.core.files import ID_PATTERN
from app.core.tables import Run
from app.web.live import LiveEvent, summarise
from app.web.services import RunId, ServicesDep

router = APIRouter()
MAX_SEQ = 2**62
MAX_WATCHED = 50


def _newest(run_id: RunId, services: ServicesDep) -> int:
    """The run's last event number. Raises NotFound before the stream has begun."""
    with services.database.read() as session:
        return runs.get(session, run_id).event_seq


def _watched(services: ServicesDep, watch: str = "") -> dict[str, tuple[int, int]]:
    """`watch` as ID:SEQ,ID:SEQ → {id: (seq, newest)}; runs that are gone are left out."""
    wanted: dict[str, int] = {}
    for part in filter(None, watch.split(",")):
        run_id, _, seq = part.partition(":")
        if not ID_PATTERN.match(run_id) or not seq.isdecimal() or len(seq) > 18:
            raise Invalid(f"watch has {part[:60]!r}: it must be ID:SEQ,ID:SEQ with the last number seen.")
        wanted[run_id] = int(seq)
    if len(wanted) > MAX_WATCHED:
        raise Invalid(f"watch names {len(wanted)} runs; {MAX_WATCHED} are possible.")
    with services.database.read() as session:
        found = {run_id: session.get(Run, run_id) for run_id in wanted}
        return {key: (wanted[key], run.event_seq) for key, run in found.items() if run is not None}


@router.get("/api/runs/{run_id}/events", response_class=EventSourceResponse, tags=["runs"])
async def run_events(
    run_id: RunId,
    newest: Annotated[int, Depends(_newest)],
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=MAX_SEQ, description="skip events up to this number")] = 0,
    last_event_id: Annotated[str | None, Header(description="as a browser sends it; beats `after`")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The run's events from the first one on: point, state, log, rewind. The id is the event's number.

    `rewind {step}` means: forget the points behind `step`. The stream ends once the run is over and all is told.
    """
    if last_event_id is not None and last_event_id.isdecimal():
        after = int(last_event_id)
    subscription = services.live.subscribe(run_id, after, newest)
    try:
        async for event in subscription.events():
            yield ServerSentEvent(raw_data=_dump(event.data()), event=event.kind, id=str(event.seq))
    finally:
        subscription.close()


@router.get("/live", response_class=EventSourceResponse, include_in_schema=False)
async def live(
    watched: Annotated[dict[str, tuple[int, int]], Depends(_watched)], services: ServicesDep
) -> AsyncIterator[ServerSentEvent]:
    """Several runs and the summary of all in one stream; each event says which run it belongs to."""
    outbox: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue(100)
    subscriptions = [services.live.subscribe(key, *position) for key, position in watched.items()]

    async def pump_run(number: int) -> None:
        async for event in subscriptions[number].events():
            await outbox.put(ServerSentEvent(raw_data=_dump(_addressed(event)), event="run"))

    async def pump_summary() -> None:
        seen = 0
        async with services.live.summary.reading():
            while (news := await services.live.summary.newer(seen)) is not None:
                seen, value = news
                await outbox.put(ServerSentEvent(raw_data=_dump(value), event="summary"))
        await outbox.put(None)

    tasks = [asyncio.create_task(pump_run(number)) for number in range(len(subscriptions))]
    tasks.append(asyncio.create_task(pump_summary()))
    try:
        while (item := await outbox.get()) is not None:
            yield item
    finally:
        for task in tasks:
            task.cancel()
        for subscription in subscriptions:
            subscription.close()


@router.get("/live/poll", include_in_schema=False)
async def poll(
    watched: Annotated[dict[str, tuple[int, int]], Depends(_watched)], services: ServicesDep
) -> dict[str, Any]:
    """The same for browsers without Web Locks: what is new since the last question."""
    news = [event for key, (seq, _) in watched.items() for event in await services.live.read(key, seq)]
    return {
        "events": [_addressed(event) for event in news],
        "summary": await run_in_threadpool(summarise, services.database, services.clock()),
    }


def _addressed(event: LiveEvent) -> dict[str, Any]:
    return {"run": event.run_id, "seq": event.seq, "kind": event.kind, "data": event.data()}


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
