"""The store of searches for wrong labels, one a run: who may move one, and when. What it shares with other jobs is in
app.core.side_jobs.

    request ─▶ queued ──claim──▶ running ──finish──▶ succeeded | failed | cancelled ──request──▶ queued

The run itself is over, and nothing here ever writes it.
"""

from typing import Any

from sqlmodel import Session

from app.core import runs
from app.core.clock import rfc3339
from app.core.errors import Conflict
from app.core.side_jobs import Life
from app.core.tables import FINAL_STATES, LabelCheck

_LIFE = Life(
    LabelCheck,
    "run_id",
    "The process that looks for wrong labels ended several times without a reason that it could tell.",
)


def request(session: Session, run_id: str, now: float, model: str = "") -> LabelCheck:
    """Queues a search, or one that is over once more; one that waits or runs stays as it is. `model`: who reads the texts, "" for
    the pre-trained model that reads them best. Raises NotFound, Conflict."""
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


waiting, record = _LIFE.waiting, _LIFE.record


def claim(session: Session, now: float) -> tuple[str, int] | None:
    """Takes the next one: (run, attempt); None if there is none."""
    found = _LIFE.claim(session, now, phase="", progress=0.0)
    return None if found is None else (found.run_id, found.attempt)


def finish(
    session: Session, run_id: str, attempt: int, state: str, now: float, error: dict[str, Any] | None = None
) -> None:
    """Ends it as succeeded, failed (with `error`) or cancelled. Raises LostJob."""
    _LIFE.finish(session, run_id, attempt, state, now, error, phase="")


def request_cancel(session: Session, run_id: str, now: float) -> LabelCheck:
    """Ends a queued search, asks a running one to stop; a repeated cancel is no error. Raises NotFound, Conflict."""
    runs.get(session, run_id)
    found = session.get(LabelCheck, run_id)
    if found is None or found.state in ("succeeded", "failed"):
        raise Conflict("Nobody is looking for wrong labels in the data of this run.")
    return _LIFE.cancel(session, found, now)


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
