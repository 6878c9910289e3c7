"""The store of files that are predicted: who may move one, and when.

    create ─▶ queued ──claim──▶ running ──finish──▶ succeeded | failed | cancelled ──retry──▶ queued
                 ▲                 │
                 └─ lease ran out ─┘   (claim takes it; after MAX_FAILURES crashes it fails)

As with runs, a claim gives an attempt number and a lease, and every later write is fenced by them.
"""

from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlmodel import Session, col

from app.core.clock import rfc3339
from app.core.errors import Conflict, NotFound
from app.core.files import new_id
from app.core.runs import MAX_FAILURES, rowcount
from app.core.tables import FINAL_STATES, FilePrediction

LEASE_SECONDS = 15.0


class LostFile(Exception):
    """The file belongs to another attempt, or it is over or deleted: stop, and write nothing."""


def create(
    session: Session, run_id: str, name: str, columns: dict[str, str], now: float, file_id: str | None = None
) -> FilePrediction:
    """Stores a queued file. `columns`: role → column of the file."""
    found = FilePrediction(id=file_id or new_id(), run_id=run_id, name=name, columns=columns, created_at=now)
    session.add(found)
    session.flush()
    return found


def get(session: Session, run_id: str, file_id: str) -> FilePrediction:
    """Raises NotFound."""
    found = session.get(FilePrediction, file_id)
    if found is None or found.run_id != run_id:
        raise NotFound(f"There is no predicted file {file_id!r} of this run. It may have been deleted.")
    return found


def listed(session: Session, run_id: str) -> list[FilePrediction]:
    """Of one run, newest first."""
    query = select(FilePrediction).where(col(FilePrediction.run_id) == run_id)
    return list(session.execute(query.order_by(col(FilePrediction.created_at).desc())).scalars())


def waiting(session: Session, now: float) -> bool:
    """Whether `claim` would find one: a look that takes no lock."""
    lost = and_(col(FilePrediction.state) == "running", col(FilePrediction.lease_until) < now)
    query = select(col(FilePrediction.id)).where(or_(col(FilePrediction.state) == "queued", lost))
    return session.execute(query.limit(1)).first() is not None


def claim(session: Session, now: float) -> tuple[FilePrediction, int] | None:
    """Takes the oldest file that is queued or whose lease ran out; None if there is none.

    A lost lease counts as a failure: a file that ends its process each time fails, and is not tried for ever.
    """
    lost = and_(col(FilePrediction.state) == "running", col(FilePrediction.lease_until) < now)
    query = (
        select(FilePrediction)
        .where(or_(col(FilePrediction.state) == "queued", lost))
        .order_by(col(FilePrediction.created_at))
    )
    for found in session.execute(query).scalars():
        if found.state == "running":
            found.failures += 1
        if found.cancel_requested:
            _end(found, "cancelled", now)
        elif found.failures >= MAX_FAILURES:
            message = (
                "The process that predicts this file ended several times without a reason that it could tell."
            )
            _end(found, "failed", now, {"kind": "bug", "message": message, "problems": []})
        else:
            found.state, found.attempt = "running", found.attempt + 1
            found.lease_until, found.done, found.error = now + LEASE_SECONDS, 0, None
            found.started_at = now
            session.add(found)
            session.flush()
            return found, found.attempt
        session.add(found)
    session.flush()
    return None


def record(session: Session, file_id: str, attempt: int, now: float, **values: Any) -> bool:
    """Renews the lease and stores `values` (rows, done); returns whether to stop. Raises LostFile."""
    _fence(session, file_id, attempt, {"lease_until": now + LEASE_SECONDS, **values})
    found = session.get(FilePrediction, file_id)
    assert found is not None
    session.refresh(found)
    return found.cancel_requested


def finish(
    session: Session,
    file_id: str,
    attempt: int,
    state: str,
    now: float,
    error: dict[str, Any] | None = None,
) -> None:
    """Ends it as succeeded, failed (with `error`) or cancelled. Raises LostFile."""
    ended = {"state": state, "finished_at": now, "lease_until": None, "error": error}
    _fence(session, file_id, attempt, ended)


def request_cancel(session: Session, run_id: str, file_id: str, now: float) -> FilePrediction:
    """Ends a queued file, asks a running one to stop; a repeated cancel is no error. Raises NotFound, Conflict."""
    found = get(session, run_id, file_id)
    if found.state in ("succeeded", "failed"):
        raise Conflict(f"{found.name} has {found.state} already, so there is nothing to cancel.")
    if found.state == "queued":
        _end(found, "cancelled", now)
    else:
        found.cancel_requested = found.state == "running"
    session.add(found)
    session.flush()
    return found


def retry(session: Session, run_id: str, file_id: str, columns: dict[str, str]) -> FilePrediction:
    """Queues a failed or cancelled file again, with other columns. Raises NotFound, Conflict."""
    found = get(session, run_id, file_id)
    if found.state not in ("failed", "cancelled"):
        raise Conflict(f"{found.name} is {found.state}, so there is nothing to try again.")
    found.state, found.columns, found.error = "queued", columns, None
    found.cancel_requested, found.failures, found.done, found.finished_at = False, 0, 0, None
    session.add(found)
    session.flush()
    return found


def remove(session: Session, run_id: str, file_id: str) -> None:
    """Deletes the record of a file that is not running. Raises NotFound, Conflict."""
    found = get(session, run_id, file_id)
    if found.state == "running":
        raise Conflict(f"{found.name} is being predicted: cancel it before you delete it.")
    session.delete(found)


def view(found: FilePrediction) -> dict[str, Any]:
    """A predicted file as the JSON API shows it."""
    return {
        "id": found.id,
        "run": found.run_id,
        "name": found.name,
        "columns": found.columns,
        "state": found.state,
        "cancel_requested": found.cancel_requested and found.state not in FINAL_STATES,
        "rows": found.rows,
        "done": found.done,
        "created_at": rfc3339(found.created_at),
        "started_at": rfc3339(found.started_at),
        "finished_at": rfc3339(found.finished_at),
        "error": found.error,
    }


def _end(found: FilePrediction, state: str, now: float, error: dict[str, Any] | None = None) -> None:
    found.state, found.finished_at, found.lease_until, found.error = state, now, None, error


def _fence(session: Session, file_id: str, attempt: int, values: dict[str, Any]) -> None:
    mine = (
        col(FilePrediction.id) == file_id,
        col(FilePrediction.attempt) == attempt,
        col(FilePrediction.state) == "running",
    )
    if rowcount(session.execute(update(FilePrediction).where(*mine).values(**values))) != 1:
        raise LostFile(f"file {file_id} no longer belongs to attempt {attempt}")
