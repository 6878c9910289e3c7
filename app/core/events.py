"""Events and points: what the live view follows.

Each run numbers its events itself (`run.event_seq`), inside the transaction that writes them: row ids would be
reused after deletes. The number is the SSE id, so Last-Event-ID resumes without a gap.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlmodel import Session, col

from app.core.tables import Event, Point, Run

SERIES = (
    "train/loss",
    "train/learning_rate",
    "train/grad_norm",
    "train/examples_per_second",
)
# In the log of a run whose numbers another attempt would not repeat bit by bit; its page says so too.
INEXACT = "The run is no longer exactly repeatable"


@dataclass(frozen=True)
class PointValue:
    """A point on its way to the database. `time`: Unix seconds when its optimiser step ended."""

    series: str
    step: int
    value: float
    time: float


def append(session: Session, run_id: str, kind: str, payload: dict[str, Any], now: float) -> int:
    """Appends one event in the caller's writing transaction; returns its sequence number."""
    seq = session.execute(
        update(Run)
        .where(col(Run.id) == run_id)
        .values(event_seq=Run.event_seq + 1)
        .returning(col(Run.event_seq))
    ).scalar_one()
    session.execute(insert(Event).values(run_id=run_id, seq=seq, kind=kind, payload=payload, time=now))
    return int(seq)


def after(session: Session, run_id: str, seq: int, limit: int = 500) -> list[Event]:
    """The run's events behind `seq`, oldest first."""
    query = (
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.seq) > seq)
        .order_by(col(Event.seq))
        .limit(limit)
    )
    return list(session.execute(query).scalars())


def inexact(session: Session, run_id: str) -> list[str]:
    """Why the run is no longer exactly repeatable, a line of its log each."""
    query = select(col(Event.payload)).where(
        col(Event.run_id) == run_id,
        col(Event.kind) == "log",
        col(Event.payload)["message"].as_string().contains(INEXACT),
    )
    return [str(payload["message"]) for payload in session.execute(query.order_by(col(Event.seq))).scalars()]


def write_points(session: Session, run_id: str, points: list[PointValue], now: float) -> None:
    """Stores `points` and one event of kind point with all of them.

    A point that exists already (the same run, series and step) is replaced: a resumed attempt repeats steps.
    """
    rows = [
        {
            "run_id": run_id,
            "series": point.series,
            "step": point.step,
            "value": _finite(point.value),
            "time": point.time,
        }
        for point in points
    ]
    statement = insert(Point).prefix_with("OR REPLACE", dialect="sqlite")
    session.execute(statement, rows)
    append(session, run_id, "point", columns(points), now)


def rewind(session: Session, run_id: str, step: int, now: float) -> None:
    """Forgets the points behind `step` and tells the viewers to do the same."""
    session.execute(delete(Point).where(col(Point.run_id) == run_id, col(Point.step) > step))
    append(session, run_id, "rewind", {"step": step}, now)


def columns(points: Iterable[PointValue]) -> dict[str, dict[str, list[Any]]]:
    """{series: {"step": [...], "value": [...], "time": [...]}}; a NaN becomes None."""
    series: dict[str, dict[str, list[Any]]] = {}
    for point in points:
        one = series.setdefault(point.series, {"step": [], "value": [], "time": []})
        one["step"].append(point.step)
        one["value"].append(_finite(point.value))
        one["time"].append(point.time)
    return series


def read_points(
    session: Session, run_id: str, names: list[str] | None = None
) -> dict[str, dict[str, list[Any]]]:
    """The curves of a run, ordered by step. `names` None: all there are; an unknown one gives empty lists."""
    query = select(col(Point.series), col(Point.step), col(Point.value), col(Point.time)).where(
        col(Point.run_id) == run_id
    )
    if names is not None:
        query = query.where(col(Point.series).in_(names))
    result: dict[str, dict[str, list[Any]]] = {
        name: {"step": [], "value": [], "time": []} for name in names or ()
    }
    for series, step, value, time in session.execute(query.order_by(col(Point.series), col(Point.step))):
        one = result.setdefault(series, {"step": [], "value": [], "time": []})
        one["step"].append(step)
        one["value"].append(value)
        one["time"].append(time)
    return result


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
