"""The run store: another model in the place of a finished run's download."""

from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col

from app.core import events
from app.core.errors import Conflict
from app.core.runs import children, get, state_payload
from app.core.tables import FINAL_STATES, Run


def check_free(session: Session, run_id: str) -> Run:
    """The run, if its model may change. Raises NotFound; Conflict while it is not over or is the base of another."""
    run = get(session, run_id)
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: its weights can be moved once it has finished.")
    if names := [child.name for child in children(session, run_id)]:
        raise Conflict(
            f"The model of this run is the base of {names[0]!r}, so it stays as it is: delete that run first."
        )
    return run


def replace(
    session: Session,
    run_id: str,
    metrics: dict[str, Any],
    results: dict[str, Any],
    sha256: str,
    message: str,
    now: float,
) -> None:
    """Notes the figures and the SHA-256 of the new weights, and says so in the log. Raises NotFound, Conflict."""
    check_free(session, run_id)
    session.execute(
        update(Run)
        .where(col(Run.id) == run_id)
        .values(metrics=metrics, results=results, weights_sha256=sha256)
    )
    run = get(session, run_id)
    session.refresh(run)
    events.append(session, run_id, "log", {"level": "info", "message": message}, now)
    events.append(session, run_id, "state", state_payload(run), now)
