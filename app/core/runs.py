"""The run store, the user's side: create, look, pause, resume, cancel, retry, delete.

    create ─▶ queued ───────claim──────▶ running ──finish──▶ succeeded | failed | cancelled ─┐
              ▲ │ ▲ ▲                     │ │ │                          │                   │
              │ │ │ └──────release────────┘ │ │   clean stop, or the lease ran out           │ remove
              │ │ │ resume                  │ │   (reconcile)            │                   ▼
              │ │ paused ◀─────pause────────┘ │   after a checkpoint     │                  gone
              │ │   ▲ │                       │                          │
              │ └───┘ │ pause                 │                          │
              │       ▼ cancel                │                          │
              │   cancelled ◀────cancel───────┘   best weights kept      │
              │                                                          │
              └──────────────────────────────retry───────────────────────┘   of a failed or cancelled run

A cancel ends a queued or paused run at once, unless there is a checkpoint: then it is queued with `cancel_requested`, and its
last attempt only makes the checkpoint's best weights the download. A paused run comes only from a queued or running one, and
goes only back to the queue. Every move is an UPDATE … WHERE state = old, followed by a look at the row count. A final state
is left by nobody but the user who tries the run again; its attempt numbers go on, so whoever held it before has lost it. A lease
lies within LEASE_SECONDS from now: one that is over, or that lies further ahead since the clock was put back, has run out. The
worker's moves (claim, record, pause, finish, release, reconcile) are in app.core.attempts, the order of the queue is in
app.core.queue_order.
"""

from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, update
from sqlmodel import Session, col

from app.core import events
from app.core.clock import rfc3339
from app.core.errors import Conflict, NotFound
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, Dataset, DatasetVersion, Run

# A trainer writes a few times a second, its supervisor every few seconds: silence this long means death.
LEASE_SECONDS = 15.0
# After so many self-inflicted ends (exception, SIGSEGV, SIGABRT) a run fails instead of being tried again.
MAX_FAILURES = 3
# How the phase of a run begins whose trainer shows no sign of life: its supervisor says for how long.
SILENT = "not heard of"


def create(
    session: Session,
    run_id: str,
    spec: RunSpec,
    sha256: str,
    now: float,
    steps: int = 0,
    parent: tuple[str, str] | None = None,
    corrects: str | None = None,
) -> Run:
    """Stores a queued run of `steps` optimiser steps. `spec` is complete (app.launch filled in the defaults).

    `parent`: the run whose model it begins with, and the SHA-256 of that model's weights. `corrects`: the one that it repeats on
    corrected data.
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
        queued_at=now,
        steps=steps,
        parent_id=parent[0] if parent else None,
        parent_sha256=parent[1] if parent else None,
        corrects_id=corrects,
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


def request_cancel(session: Session, run_id: str, now: float) -> Run:
    """Cancels a run: one without a trainer at once, or after its best weights are kept; a running one as soon as its
    trainer sees it. A repeated cancel is no error.

    Raises NotFound; Conflict if the run has succeeded or failed.
    """
    run = get(session, run_id)
    if run.state in ("succeeded", "failed"):
        raise Conflict(f"The run has {run.state} already, so there is nothing to cancel.")
    if run.state in ("queued", "paused") and not run.cancel_requested:
        wind_up(session, run_id, run.state, now)
    elif run.state == "running" and not run.cancel_requested:
        session.execute(update(Run).where(col(Run.id) == run_id).values(cancel_requested=True))
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
    session.refresh(run)
    return run


def wind_up(session: Session, run_id: str, old: str, now: float) -> None:
    """Ends a run that is to be cancelled and that nobody trains; one with a checkpoint has its best weights kept before."""
    if get(session, run_id).checkpoint_step:
        move(session, run_id, old, "queued", now, cancel_requested=True)
    else:
        move(session, run_id, old, "cancelled", now, finished_at=now, eta_seconds=None)


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
        move(session, run_id, "paused", "queued", now, queued_at=now)
    elif run.state == "running" and run.pause_requested:
        session.execute(update(Run).where(col(Run.id) == run_id).values(pause_requested=False))
        session.refresh(run)
        events.append(session, run_id, "state", state_payload(run), now)
    else:
        said = f"has {_ended(run.state)} already" if run.state in FINAL_STATES else f"is {run.state}"
        raise Conflict(f"The run {said}, so there is nothing to resume.")
    session.refresh(run)
    return run


def request_retry(session: Session, run_id: str, now: float) -> Run:
    """Queues a failed or cancelled run again: it goes on from its checkpoint, or begins again where there is none.

    Raises NotFound; Conflict if the run has not ended so, or if another run began with its model.
    """
    run = get(session, run_id)
    if run.state not in ("failed", "cancelled"):
        said = "has succeeded" if run.state == "succeeded" else f"is {run.state}"
        raise Conflict(f"The run {said}, so there is nothing to try again. Clone it to train once more.")
    if names := _names(children(session, run_id)):
        raise Conflict(
            f"The model of this run is the base of {names}, so it stays as it is. Clone the run instead."
        )
    again = {"failures": 0, "cancel_requested": False, "queued_at": now, "priority": 0}
    forgotten = {"finished_at": None, "error": None, "metrics": None, "baselines": None, "results": None}
    where = f"from step {run.checkpoint_step}" if run.checkpoint_step else "from the beginning"
    move(session, run_id, run.state, "queued", now, **again, **forgotten, weights_sha256=None)
    session.refresh(run)
    message = f"The run is tried again, {where}."
    events.append(session, run_id, "log", {"level": "info", "message": message}, now)
    return run


def remove(session: Session, run_id: str) -> None:
    """Deletes the record of a run. Its files are the caller's to delete afterwards. Raises what `check_removable` raises."""
    check_removable(session, run_id)
    session.execute(delete(Run).where(col(Run.id) == run_id))


def check_removable(session: Session, run_id: str) -> None:
    """Raises NotFound; Conflict while the run is not over, and while another run has it as its model."""
    run = get(session, run_id)
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: cancel it before you delete it.")
    if found := children(session, run_id):
        those = "that run" if len(found) == 1 else "those runs"
        raise Conflict(f"The model of this run is the base of {_names(found)}: delete {those} first.")


def children(session: Session, run_id: str) -> list[Run]:
    """The runs that began with the model of this one, oldest first."""
    query = select(Run).where(col(Run.parent_id) == run_id).order_by(col(Run.created_at), col(Run.id))
    return list(session.execute(query).scalars())


def corrections(session: Session, run_id: str) -> list[Run]:
    """The runs that repeat this one on corrected data, oldest first."""
    query = select(Run).where(col(Run.corrects_id) == run_id).order_by(col(Run.created_at), col(Run.id))
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


def state_payload(run: Run) -> dict[str, Any]:
    """The fields of a run that change while it lives: the payload of state events and part of `view`."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "phase": run.phase,
        "silent": run.state == "running" and run.phase.startswith(SILENT),
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
        "priority": run.priority,
        "started_at": rfc3339(run.started_at),
        "finished_at": rfc3339(run.finished_at),
        "error": run.error,
    }


def view(run: Run, now: float) -> dict[str, Any]:
    """A run as the JSON API shows it. `stalled`: its worker has not been heard of for a whole lease."""
    return {
        **state_payload(run),
        "stalled": is_lost(run, now),
        "task": run.task,
        "dataset": run.dataset_id,
        "dataset_version": run.dataset_version,
        "dataset_sha256": run.dataset_sha256,
        "created_at": rfc3339(run.created_at),
        "spec": run.spec,
        "parent": run.parent_id,
        "corrects": run.corrects_id,
        "metrics": run.metrics,
        "baselines": run.baselines,
        "results": run.results,
        "seq": run.event_seq,
    }


def lapsed(now: float) -> ColumnElement[bool]:
    """Of a running run: nobody has it. A lease far ahead was given before the clock was put back."""
    return or_(col(Run.lease_until) < now, col(Run.lease_until) > now + LEASE_SECONDS + 1)


def is_lost(run: Run, now: float) -> bool:
    """The same of a run that was read."""
    lease = run.lease_until
    return run.state == "running" and lease is not None and not now <= lease <= now + LEASE_SECONDS + 1


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


def _names(found: list[Run]) -> str:
    """'A', 'B', 'C' and 2 more"""
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(repr(run.name) for run in found[:3]) + more


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
