"""The run store, the user's side: create, look, pause, resume, cancel, delete, and the reconciler.

    create ─▶ queued ───────claim──────▶ running ──finish──▶ succeeded | failed | cancelled
               │ ▲ ▲                      │ │ │
               │ │ └───────release────────┘ │ │   clean stop, or the lease ran out (reconcile)
         pause │ │ resume                   │ │
               ▼ │                          │ │
              paused ◀──────pause───────────┘ │   the trainer sees the flag, writes a checkpoint and ends
               │                              │
        cancel ▼                              │
           cancelled ◀──────cancel────────────┘   the trainer sees the flag, keeps its best weights and ends

Cancelling a queued run ends it at once too. Every move is an UPDATE … WHERE state = old, followed by a look at the row
count. A final state is never left. The worker's moves (claim, record, pause, finish, release) are in app.core.attempts.
"""

from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update
from sqlmodel import Session, col

from app.core import events
from app.core.clock import rfc3339
from app.core.errors import Conflict, NotFound
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, Dataset, DatasetVersion, Run

# After so many self-inflicted ends (exception, SIGSEGV, SIGABRT) a run fails instead of being tried again.
MAX_FAILURES = 3


def create(
    session: Session,
    run_id: str,
    spec: RunSpec,
    sha256: str,
    now: float,
    steps: int = 0,
    parent: tuple[str, str] | None = None,
) -> Run:
    """Stores a queued run of `steps` optimiser steps. `spec` is complete (app.launch filled in the defaults).

    `parent`: the run whose model it begins with, and the SHA-256 of that model's weights.
    """
    assert spec.dataset_version is not None and spec.name is not None
    run = Run(
        id=run_id,
        name=spec.name,
        dataset_id=spec.dataset,
        dataset_version=spec.dataset_version,
        dataset_sha256=sha256,
        task=spec.task,
        spec=spec.model_dump(mode="json"),
        created_at=now,
        steps=steps,
        parent_id=parent[0] if parent else None,
        parent_sha256=parent[1] if parent else None,
    )
    session.add(run)
    session.flush()
    events.append(session, run_id, "state", state_payload(run), now)
    return run


def get(session: Session, run_id: str) -> Run:
    """Raises NotFound."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r}. It may have been deleted.")
    return run


def listed(session: Session, limit: int = 500, offset: int = 0) -> list[Run]:
    """Newest first."""
    query = select(Run).order_by(col(Run.created_at).desc(), col(Run.id)).limit(limit)
    return list(session.execute(query.offset(offset)).scalars())


def counts(session: Session) -> dict[str, int]:
    """How many runs are in each state that occurs."""
    rows = session.execute(select(col(Run.state), func.count()).group_by(col(Run.state))).all()
    return {str(state): int(count) for state, count in rows}


def queued_ids(session: Session) -> list[str]:
    """Oldest first: the order in which they will start."""
    query = select(col(Run.id)).where(col(Run.state) == "queued").order_by(col(Run.created_at), col(Run.id))
    return list(session.execute(query).scalars())


def request_cancel(session: Session, run_id: str, now: float) -> Run:
    """Cancels a queued or paused run at once; asks the trainer of a running one to stop. A repeated cancel is no error.

    Raises NotFound; Conflict if the run has succeeded or failed.
    """
    run = get(session, run_id)
    if run.state in ("succeeded", "failed"):
        raise Conflict(f"The run has {run.state} already, so there is nothing to cancel.")
    if run.state in ("queued", "paused"):
        _end(session, run_id, run.state, "cancelled", now)
    elif run.state == "running" and not run.cancel_requested:
        session.execute(update(Run).where(col(Run.id) == run_id).values(cancel_requested=True))
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
    session.refresh(run)
    return run


def request_pause(session: Session, run_id: str, now: float) -> Run:
    """Pauses a queued run at once; asks the trainer of a running one to write a checkpoint and end. A repeated pause is no error.

    Raises NotFound; Conflict if the run is over or being cancelled.
    """
    run = get(session, run_id)
    if run.state in FINAL_STATES:
        raise Conflict(f"The run has {_ended(run.state)} already, so there is nothing to pause.")
    if run.cancel_requested:
        raise Conflict("The run is being cancelled, so it can't be paused.")
    if run.state == "queued":
        move(session, run_id, "queued", "paused", now)
    elif run.state == "running" and not run.pause_requested:
        session.execute(update(Run).where(col(Run.id) == run_id).values(pause_requested=True))
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
    session.refresh(run)
    return run


def request_resume(session: Session, run_id: str, now: float) -> Run:
    """Puts a paused run back into the queue; withdraws a pause that the trainer has not seen yet.

    Raises NotFound; Conflict if the run is neither paused nor about to be.
    """
    run = get(session, run_id)
    if run.state == "paused":
        move(session, run_id, "paused", "queued", now)
    elif run.state == "running" and run.pause_requested:
        session.execute(update(Run).where(col(Run.id) == run_id).values(pause_requested=False))
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
    else:
        said = f"has {_ended(run.state)} already" if run.state in FINAL_STATES else f"is {run.state}"
        raise Conflict(f"The run {said}, so there is nothing to resume.")
    session.refresh(run)
    return run


def remove(session: Session, run_id: str) -> None:
    """Deletes the record of a run that is over. Its files are the caller's to delete afterwards.

    Raises NotFound; Conflict while it is not over, and while another run has it as its model.
    """
    run = get(session, run_id)
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: cancel it before you delete it.")
    if names := [child.name for child in children(session, run_id)]:
        shown = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        one = len(names) == 1
        raise Conflict(
            f"The model of this run is the base of {shown}: delete {'that run' if one else 'those runs'} first."
        )
    session.execute(delete(Run).where(col(Run.id) == run_id))


def children(session: Session, run_id: str) -> list[Run]:
    """The runs that began with the model of this one, oldest first."""
    query = select(Run).where(col(Run.parent_id) == run_id).order_by(col(Run.created_at), col(Run.id))
    return list(session.execute(query).scalars())


def ancestors(session: Session, run_id: str) -> list[Run]:
    """The run that this one began with, that run's own, and so on, the nearest first."""
    found: list[Run] = []
    run = session.get(Run, run_id)
    while run is not None and run.parent_id is not None:
        run = session.get(Run, run.parent_id)
        if run is not None:
            found.append(run)
    return found


def reconcile(session: Session, now: float) -> list[str]:
    """Puts back what a dead worker left running; returns the ids of all queued runs, oldest first.

    A lost lease is never the run's own fault: it doesn't count towards MAX_FAILURES.
    """
    lost = select(Run).where(col(Run.state) == "running", col(Run.lease_until) < now)
    for run in session.execute(lost).scalars():
        if run.cancel_requested:
            _end(session, run.id, "running", "cancelled", now)
            continue
        new, what = ("paused", "paused") if run.pause_requested else ("queued", "queued again")
        move(session, run.id, "running", new, now)
        session.refresh(run)
        log = {"level": "warning", "message": f"The worker stopped answering; the run is {what}."}
        events.append(session, run.id, "log", log, now)
    return queued_ids(session)


def state_payload(run: Run) -> dict[str, Any]:
    """The fields of a run that change while it lives: the payload of state events and part of `view`."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "phase": run.phase,
        "cancel_requested": run.cancel_requested,
        "pause_requested": run.pause_requested,
        "attempt": run.attempt,
        "step": run.step,
        "steps": run.steps,
        "epoch": run.epoch,
        "examples_per_second": run.examples_per_second,
        "eta_seconds": run.eta_seconds,
        "best_step": run.best_step,
        "checkpoint_step": run.checkpoint_step,
        "started_at": rfc3339(run.started_at),
        "finished_at": rfc3339(run.finished_at),
        "error": run.error,
    }


def view(run: Run, now: float) -> dict[str, Any]:
    """A run as the JSON API shows it. `stalled`: its worker has not been heard of for a whole lease."""
    stalled = run.state == "running" and run.lease_until is not None and run.lease_until < now
    return {
        **state_payload(run),
        "stalled": stalled,
        "task": run.task,
        "dataset": run.dataset_id,
        "dataset_version": run.dataset_version,
        "dataset_sha256": run.dataset_sha256,
        "created_at": rfc3339(run.created_at),
        "spec": run.spec,
        "parent": run.parent_id,
        "metrics": run.metrics,
        "baselines": run.baselines,
        "results": run.results,
        "seq": run.event_seq,
    }


def rowcount(result: Any) -> int:
    """How many rows an UPDATE changed: the answer of every compare-and-set."""
    return cast("CursorResult[Any]", result).rowcount


def version_of(session: Session, dataset_id: str, version: int | None) -> DatasetVersion:
    """The named (or newest) version of a ready data set. Raises NotFound or Conflict."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no data set {dataset_id!r}. It may have been deleted.")
    if dataset.state == "reading":
        raise Conflict(f"The data set {dataset.name} is still being read; try again in a moment.")
    if dataset.state == "failed":
        raise Conflict(f"The data set {dataset.name} could not be read, so no run can use it.")
    found = session.get(DatasetVersion, (dataset_id, version or dataset.version))
    if found is None:
        raise NotFound(f"The data set {dataset.name} has no version {version}.")
    return found


def _ended(state: str) -> str:
    return "been cancelled" if state == "cancelled" else state


def _end(session: Session, run_id: str, old: str, new: str, now: float) -> None:
    move(session, run_id, old, new, now, finished_at=now, eta_seconds=None)


def move(session: Session, run_id: str, old: str, new: str, now: float, **values: Any) -> None:
    """From one state to another if the run is still in the first; whoever worked on it has lost it."""
    nobody = {"lease_until": None, "phase": "", "pause_requested": False}
    moved = session.execute(
        update(Run).where(col(Run.id) == run_id, col(Run.state) == old).values(state=new, **nobody, **values)
    )
    if rowcount(moved) == 1:
        run = get(session, run_id)
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
