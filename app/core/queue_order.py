"""The order of the queue: who starts next, and moves within it.

First come those that only have their weights to keep (a cancel that waits for that), then by priority, then by the
time they were queued. A run that lost its worker keeps its place; one that was paused or tried again goes to the end of
those with its priority. A message of the broker only wakes a worker (app.queue); this is what it then asks.
"""

import math
from typing import Literal

from sqlalchemy import select, update
from sqlmodel import Session, col

from app.core import events
from app.core.errors import Conflict, Invalid
from app.core.runs import get, state_payload
from app.core.tables import Run

Move = Literal["first", "up", "down", "last"]
MOVES: tuple[Move, ...] = ("first", "up", "down", "last")
# Far from what SQLite's integers hold, and nobody has so many ranks.
MAX_PRIORITY = 10**6
_ORDER = (
    col(Run.cancel_requested).desc(),
    col(Run.priority).desc(),
    col(Run.queued_at),
    col(Run.created_at),
    col(Run.id),
)


def queued_ids(session: Session) -> list[str]:
    """In the order in which they will start."""
    query = select(col(Run.id)).where(col(Run.state) == "queued").order_by(*_ORDER)
    return list(session.execute(query).scalars())


def next_id(session: Session) -> str | None:
    """The run that starts next."""
    query = select(col(Run.id)).where(col(Run.state) == "queued").order_by(*_ORDER).limit(1)
    return session.execute(query).scalar()


def move(session: Session, run_id: str, to: Move, now: float) -> None:
    """Moves a queued run within the queue; where it can go no further it stays. Raises NotFound, Conflict."""
    run = _queued(session, run_id)
    others = [other for other in _waiting(session) if not other.cancel_requested]
    here = [other.id for other in others].index(run_id)
    if to == "first" and here:
        # Above all others that wait; and behind nobody who comes later with the priority that they have.
        _put(session, run, min(others[0].priority + 1, MAX_PRIORITY), run.queued_at)
    elif to == "last" and here < len(others) - 1:
        _put(
            session,
            run,
            min(0, others[-1].priority),
            max(now, math.nextafter(others[-1].queued_at, math.inf)),
        )
    elif to in ("up", "down") and 0 <= (there := here + (1 if to == "down" else -1)) < len(others):
        others[here], others[there] = others[there], others[here]
        _arrange(session, others)
    else:
        return
    _tell(session, run_id, now)


def checked(to: object) -> Move:
    """Raises Invalid."""
    if to not in MOVES:
        raise Invalid(f"A run moves {', '.join(MOVES[:-1])} or {MOVES[-1]}, not {to!r}.")
    return to


def set_priority(session: Session, run_id: str, priority: int, now: float) -> None:
    """Higher ones start first; 0 is what every run begins with. Raises NotFound, Conflict."""
    run = _queued(session, run_id)
    _put(session, run, max(-MAX_PRIORITY, min(priority, MAX_PRIORITY)), run.queued_at)
    _tell(session, run_id, now)


def places(session: Session) -> dict[str, tuple[int, str]]:
    """Of each queued run: how many start before it, and the name of the last of those ("" for the first)."""
    query = select(col(Run.id), col(Run.name)).where(col(Run.state) == "queued").order_by(*_ORDER)
    found: dict[str, tuple[int, str]] = {}
    before = ""
    for run_id, name in session.execute(query):
        found[run_id] = (len(found), before)
        before = name
    return found


def _waiting(session: Session) -> list[Run]:
    return list(session.execute(select(Run).where(col(Run.state) == "queued").order_by(*_ORDER)).scalars())


def _queued(session: Session, run_id: str) -> Run:
    run = get(session, run_id)
    if run.state != "queued":
        raise Conflict(f"The run is {run.state}: only a queued one has a place in the queue.")
    if run.cancel_requested:
        raise Conflict("The run is being cancelled, so it goes first anyway.")
    return run


def _arrange(session: Session, wanted: list[Run]) -> None:
    """Gives the places that these runs have to them in this order. Runs of the same instant get the next floats."""
    keys = sorted((-run.priority, run.queued_at) for run in wanted)
    last = (-math.inf, -math.inf)
    for run, key in zip(wanted, keys, strict=True):
        if key <= last:
            key = (int(last[0]), math.nextafter(last[1], math.inf))
        last = key
        if key != (-run.priority, run.queued_at):
            _put(session, run, -key[0], key[1])


def _put(session: Session, run: Run, priority: int, queued_at: float) -> None:
    values = {"priority": priority, "queued_at": queued_at}
    session.execute(update(Run).where(col(Run.id) == run.id).values(**values))
    session.refresh(run)


def _tell(session: Session, run_id: str, now: float) -> None:
    run = get(session, run_id)
    session.refresh(run)
    events.append(session, run_id, "state", state_payload(run), now)
