"""The run store, the worker's side: every write is fenced by (run, attempt).

A claim gives the run a new attempt number and a lease. Whoever held the run before finds, at its next
write, that the number is no longer its own and gets LostRun: it must exit without writing.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session, col

from app.core import events, queue_order
from app.core.events import PointValue
from app.core.reasons import classed
from app.core.runs import LEASE_SECONDS, MAX_FAILURES, get, lapsed, move, rowcount, state_payload, wind_up
from app.core.tables import Run

Wish = Literal["go on", "pause", "cancel"]
TOO_LATE = "The cancel came too late: the run had been trained and measured already, so it has succeeded."


class LostRun(Exception):
    """The run belongs to another attempt, or it is over: stop, and write nothing."""


@dataclass
class Batch:
    """What a trainer has to tell since its last write."""

    points: list[PointValue] = field(default_factory=list)
    logs: list[tuple[float, str, str]] = field(default_factory=list)  # Unix seconds, level, message
    samples: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # Unix seconds, payload
    progress: dict[str, Any] = field(default_factory=dict)  # columns of Run: step, steps, phase, …

    def __bool__(self) -> bool:
        return bool(self.points or self.logs or self.samples or self.progress)


def claim(session: Session, run_id: str, now: float, worker_id: str | None = None) -> int | None:
    """Takes a queued run, or a running one whose lease ran out; returns the attempt number.

    None: somebody else has it, or it is over. So a message delivered twice does nothing. A queued run that is to be
    cancelled is claimed to have its best weights kept.
    """
    lost = and_(col(Run.state) == "running", lapsed(now), col(Run.cancel_requested).is_(False))
    claimed = session.execute(
        update(Run)
        .where(col(Run.id) == run_id, or_(col(Run.state) == "queued", lost))
        .values(
            worker_id=worker_id,
            state="running",
            attempt=Run.attempt + 1,
            lease_until=now + LEASE_SECONDS,
            phase="starting",
            examples_per_second=None,
            eta_seconds=None,
            error=None,
        )
    )
    if rowcount(claimed) != 1:
        return None
    run = get(session, run_id)
    session.refresh(run)
    if run.started_at is None:
        run.started_at = now
    session.flush()
    events.append(session, run_id, "state", state_payload(run), now)
    return run.attempt


def record(session: Session, run_id: str, attempt: int, batch: Batch, now: float) -> Wish:
    """Writes a batch and renews the lease, in the caller's transaction; returns what the user wants.

    Raises LostRun.
    """
    _fence(session, run_id, attempt, {"lease_until": now + LEASE_SECONDS, **batch.progress})
    if batch.points:
        events.write_points(session, run_id, batch.points, now)
    for time, level, message in batch.logs:
        events.append(session, run_id, "log", {"level": level, "message": message}, time)
    for time, payload in batch.samples:
        events.append(session, run_id, "sample", payload, time)
    run = get(session, run_id)
    session.refresh(run)
    if batch.progress:
        events.append(session, run_id, "state", state_payload(run), now)
    return "cancel" if run.cancel_requested else "pause" if run.pause_requested else "go on"


def go_on(
    session: Session, run_id: str, attempt: int, step: int, epoch: float, best_step: int | None, now: float
) -> None:
    """A later attempt goes on behind `step` (0: from the beginning): what was told of later steps is forgotten.

    Raises LostRun.
    """
    _fence(
        session,
        run_id,
        attempt,
        {"step": step, "checkpoint_step": step, "epoch": epoch, "best_step": best_step},
    )
    events.rewind(session, run_id, step, now)


def set_process(session: Session, run_id: str, attempt: int, pid: int, started: float, now: float) -> None:
    """Notes the trainer's process (pid and start time, seconds since the epoch). Raises LostRun."""
    lease = {"lease_until": now + LEASE_SECONDS}
    _fence(session, run_id, attempt, {"pid": pid, "pid_started": started, **lease})


def finish(session: Session, run_id: str, attempt: int, state: str, now: float, **values: Any) -> None:
    """Ends the run as succeeded, failed or cancelled, with its metrics, results or error. Raises LostRun.

    One that has succeeded although it was to be cancelled says so: the cancel came while its model was written already.
    """
    ended = {"state": state, "finished_at": now, "lease_until": None, "eta_seconds": None, "phase": ""}
    _fence(session, run_id, attempt, {**ended, **values})
    run = get(session, run_id)
    session.refresh(run)
    if state == "succeeded" and run.cancel_requested:
        run.cancel_requested = False
        session.flush()
        events.append(session, run_id, "log", {"level": "warning", "message": TOO_LATE}, now)
    events.append(session, run_id, "state", state_payload(run), now)


def pause(session: Session, run_id: str, attempt: int, now: float) -> None:
    """Lays the run aside after its checkpoint, as the user asked; one that is cancelled meanwhile is wound up. Raises LostRun."""
    _fence(session, run_id, attempt, {"eta_seconds": None})
    _put_back(session, run_id, "paused", now)


def release(session: Session, run_id: str, attempt: int, reason: str, now: float) -> None:
    """Puts the run back to its place in the queue after an end that was not its own fault. Raises LostRun."""
    _fence(session, run_id, attempt, {"eta_seconds": None})
    run = get(session, run_id)
    session.refresh(run)
    _put_back(session, run_id, "paused" if run.pause_requested else "queued", now)
    events.append(session, run_id, "log", {"level": "warning", "message": reason}, now)


def reconcile(session: Session, now: float, gone: Collection[str] = ()) -> list[str]:
    """Puts back what a dead worker left running; returns the ids of all queued runs in their order.

    `gone`: workers that have ended, which is known before their leases run out. A lost lease is never the run's own fault: it
    doesn't count towards MAX_FAILURES.
    """
    left = or_(lapsed(now), col(Run.worker_id).in_(gone))
    for run in session.execute(select(Run).where(col(Run.state) == "running", left)).scalars():
        _put_back(session, run.id, "paused" if run.pause_requested else "queued", now)
        session.refresh(run)
        became = "queued again" if run.state == "queued" else run.state
        what = "ended" if run.worker_id in gone else "stopped answering"
        log = {"level": "warning", "message": f"The worker {what}; the run is {became}."}
        events.append(session, run.id, "log", log, now)
    return queue_order.queued_ids(session)


def fail_or_retry(
    session: Session, run_id: str, attempt: int, error: dict[str, Any], final: bool, now: float
) -> str:
    """After a self-inflicted end: fails the run if `final` or after MAX_FAILURES, else queues it again; one that the user
    has cancelled is over.

    Returns the new state. Raises LostRun.
    """
    error = classed(error)
    _fence(session, run_id, attempt, {"failures": Run.failures + 1})
    run = get(session, run_id)
    session.refresh(run)
    if run.cancel_requested:
        finish(session, run_id, attempt, "cancelled", now)
        return "cancelled"
    if final or run.failures >= MAX_FAILURES:
        finish(session, run_id, attempt, "failed", now, error=error)
        return "failed"
    again = f"{error['message']} The run is tried again ({run.failures} of {MAX_FAILURES})."
    release(session, run_id, attempt, again, now)
    session.refresh(run)
    return run.state


def _put_back(session: Session, run_id: str, new: str, now: float) -> None:
    """A running run that ends here to go on later. One that is to be cancelled is wound up."""
    run = get(session, run_id)
    session.refresh(run)
    if run.cancel_requested:
        wind_up(session, run_id, "running", now)
    else:
        move(session, run_id, "running", new, now)


def _fence(session: Session, run_id: str, attempt: int, values: dict[str, Any]) -> None:
    mine = (col(Run.id) == run_id, col(Run.attempt) == attempt, col(Run.state) == "running")
    values = values or {"attempt": attempt}
    if rowcount(session.execute(update(Run).where(*mine).values(**values))) != 1:
        raise LostRun(f"run {run_id} no longer belongs to attempt {attempt}")
