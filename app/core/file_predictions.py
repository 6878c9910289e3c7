"""The store of files that are predicted: who may move one, and when. What it shares with other jobs is in app.core.side_jobs.

create ─▶ queued ──claim──▶ running ──finish──▶ succeeded | failed | cancelled ──retry──▶ queued
"""

from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from app.core.clock import rfc3339
from app.core.errors import Conflict, NotFound
from app.core.files import new_id
from app.core.side_jobs import Life
from app.core.tables import FINAL_STATES, FilePrediction

_LIFE = Life(
    FilePrediction,
    "id",
    "The process that predicts this file ended several times without a reason that it could tell.",
)


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


waiting, record, finish = _LIFE.waiting, _LIFE.record, _LIFE.finish


def claim(session: Session, now: float) -> tuple[FilePrediction, int] | None:
    """Takes the next one, with its attempt; None if there is none."""
    found = _LIFE.claim(session, now, done=0)
    return None if found is None else (found, found.attempt)


def request_cancel(session: Session, run_id: str, file_id: str, now: float) -> FilePrediction:
    """Ends a queued file, asks a running one to stop; a repeated cancel is no error. Raises NotFound, Conflict."""
    found = get(session, run_id, file_id)
    if found.state in ("succeeded", "failed"):
        raise Conflict(f"{found.name} has {found.state} already, so there is nothing to cancel.")
    return _LIFE.cancel(session, found, now)


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
