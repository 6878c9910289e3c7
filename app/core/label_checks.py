"""The store of searches for wrong labels, one a run: who may move one, and when.

    request ─▶ queued ──claim──▶ running ──finish──▶ succeeded | failed | cancelled ──request──▶ queued
                  ▲                 │
                  └─ lease ran out ─┘   (claim takes it; after MAX_FAILURES crashes it fails)

As with runs, a claim gives an attempt number and a lease, and every later write is fenced by them. The run itself is over, and
nothing here ever writes it.
"""

from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session, col

from app.core import runs
from app.core.clock import rfc3339
from app.core.errors import Conflict
from app.core.runs import MAX_FAILURES, rowcount
from app.core.tables import FINAL_STATES, LabelCheck

LEASE_SECONDS = 15.0
CRASHED = "The process that looks for wrong labels ended several times without a reason that it could tell."


class LostCheck(Exception):
    """The search belongs to another attempt, or it is over or deleted: stop, and write nothing."""


def request(session: Session, run_id: str, now: float, model: str = "") -> LabelCheck:
    """Queues a search, or one that is over once more; one that waits or runs stays as it is. `model`: who reads the texts, "" for
    the model that the run began with. Raises NotFound, Conflict."""
    run = runs.get(session, run_id)
    if run.state != "succeeded":
        raise Conflict(f"The run has {run.state}: only a run that succeeded can say which labels are wrong.")
    found = session.get(LabelCheck, run_id)
    if found is None:
        found = LabelCheck(run_id=run_id, created_at=now, model=model)
    elif found.state in FINAL_STATES:
        found.state, found.error, found.failures, found.created_at = "queued", None, 0, now
        found.cancel_requested, found.phase, found.progress, found.finished_at = False, "", 0.0, None
        found.model = model
    session.add(found)
    session.flush()
    return found


def find(session: Session, run_id: str) -> LabelCheck | None:
    """That of a run; None if nobody has asked for one."""
    return session.get(LabelCheck, run_id)


def waiting(session: Session, now: float) -> bool:
    """Whether `claim` would find one: a look that takes no lock."""
    return session.execute(select(col(LabelCheck.run_id)).where(_claimable(now)).limit(1)).first() is not None


def claim(session: Session, now: float) -> tuple[str, int] | None:
    """Takes the oldest one that is queued or whose lease ran out: (run, attempt); None if there is none.

    A lost lease counts as a failure: one that ends its process each time fails, and is not tried for ever.
    """
    query = select(LabelCheck).where(_claimable(now)).order_by(col(LabelCheck.created_at))
    for found in session.execute(query).scalars():
        if found.state == "running":
            found.failures += 1
        session.add(found)
        if found.cancel_requested:
            _end(found, "cancelled", now)
        elif found.failures >= MAX_FAILURES:
            _end(found, "failed", now, {"kind": "bug", "message": CRASHED, "problems": []})
        else:
            found.state, found.attempt, found.started_at = "running", found.attempt + 1, now
            found.lease_until, found.phase, found.progress, found.error = now + LEASE_SECONDS, "", 0.0, None
            session.flush()
            return found.run_id, found.attempt
    session.flush()
    return None


def record(session: Session, run_id: str, attempt: int, now: float, **values: Any) -> bool:
    """Renews the lease and stores `values` (phase, progress); returns whether to stop. Raises LostCheck."""
    _fence(session, run_id, attempt, {"lease_until": now + LEASE_SECONDS, **values})
    found = session.get(LabelCheck, run_id)
    assert found is not None
    session.refresh(found)
    return found.cancel_requested


def finish(
    session: Session, run_id: str, attempt: int, state: str, now: float, error: dict[str, Any] | None = None
) -> None:
    """Ends it as succeeded, failed (with `error`) or cancelled. Raises LostCheck."""
    ended = {"state": state, "finished_at": now, "lease_until": None, "error": error, "phase": ""}
    _fence(session, run_id, attempt, ended)


def request_cancel(session: Session, run_id: str, now: float) -> LabelCheck:
    """Ends a queued search, asks a running one to stop; a repeated cancel is no error. Raises NotFound, Conflict."""
    runs.get(session, run_id)
    found = session.get(LabelCheck, run_id)
    if found is None or found.state in ("succeeded", "failed"):
        raise Conflict("Nobody is looking for wrong labels in the data of this run.")
    if found.state == "queued":
        _end(found, "cancelled", now)
    else:
        found.cancel_requested = found.state == "running"
    session.add(found)
    session.flush()
    return found


def view(found: LabelCheck | None) -> dict[str, Any]:
    """A search as the JSON API shows it; `state` is "none" where nobody has asked for one."""
    if found is None:
        return {"state": "none", "phase": "", "progress": 0.0, "cancel_requested": False, "error": None}
    return {
        "state": found.state,
        "phase": found.phase,
        "progress": found.progress,
        "cancel_requested": found.cancel_requested and found.state not in FINAL_STATES,
        "started_at": rfc3339(found.started_at),
        "finished_at": rfc3339(found.finished_at),
        "error": found.error,
    }


def _claimable(now: float) -> Any:
    lost = and_(col(LabelCheck.state) == "running", col(LabelCheck.lease_until) < now)
    return or_(col(LabelCheck.state) == "queued", lost)


def _end(found: LabelCheck, state: str, now: float, error: dict[str, Any] | None = None) -> None:
    found.state, found.finished_at, found.lease_until, found.error = state, now, None, error


def _fence(session: Session, run_id: str, attempt: int, values: dict[str, Any]) -> None:
    mine = (
        col(LabelCheck.run_id) == run_id,
        col(LabelCheck.attempt) == attempt,
        col(LabelCheck.state) == "running",
    )
    if rowcount(session.execute(update(LabelCheck).where(*mine).values(**values))) != 1:
        raise LostCheck(f"the search of run {run_id} no longer belongs to attempt {attempt}")
