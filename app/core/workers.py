"""Which workers there are, by their heartbeat: a row for each process that takes runs from the queue.

    start ─▶ beat, every few seconds ─▶ leave          silent for a whole lease: stuck (or its machine is gone)

A worker that ended without a word leaves its row behind; another one on its machine, which can tell that the process is gone,
removes it, and its runs need not wait for their leases. A container that was started again can't tell, and waits for a lease; rows of
other machines go after a day of silence.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, select
from sqlmodel import Session, col

from app.core.clock import rfc3339
from app.core.runs import LEASE_SECONDS
from app.core.tables import Run, Worker

FORGOTTEN_SECONDS = 86_400.0


def beat(session: Session, worker: Worker, now: float, lives: Callable[[int, float], bool]) -> list[str]:
    """Notes that `worker` is there; returns the ids of those that have ended without a word, for sure, since the last beat.

    `lives(pid, started)`: whether a process of this machine still is.
    """
    session.merge(worker.model_copy(update={"heard_at": now}))
    gone = []
    for other in session.execute(select(Worker).where(col(Worker.id) != worker.id)).scalars():
        here = other.host == worker.host
        known = here and other.pid_space == worker.pid_space
        dead = here and not lives(other.pid, other.pid_started)
        if dead and known:
            gone.append(other.id)
        if (dead and (known or not is_alive(other, now))) or now - other.heard_at > FORGOTTEN_SECONDS:
            session.delete(other)
    return gone


def leave(session: Session, worker_id: str) -> None:
    """The worker ends."""
    session.execute(delete(Worker).where(col(Worker.id) == worker_id))


def views(session: Session, now: float) -> list[dict[str, Any]]:
    """[{"id", "host", "pid", "started_at", "heard_at", "alive", "slots", "runs": [{"id", "name"}]}], the oldest first."""
    running = session.execute(
        select(col(Run.worker_id), col(Run.id), col(Run.name)).where(col(Run.state) == "running")
    ).all()
    found = session.execute(select(Worker).order_by(col(Worker.started_at), col(Worker.id))).scalars()
    return [
        {
            "id": worker.id,
            "host": worker.host,
            "pid": worker.pid,
            "started_at": rfc3339(worker.started_at),
            "heard_at": rfc3339(worker.heard_at),
            "alive": is_alive(worker, now),
            "slots": worker.slots,
            "runs": [{"id": run_id, "name": name} for owner, run_id, name in running if owner == worker.id],
        }
        for worker in found
    ]


def any_alive(session: Session, now: float) -> bool:
    """Whether a worker is there to take a run."""
    return any(is_alive(worker, now) for worker in session.execute(select(Worker)).scalars())


def is_alive(worker: Worker, now: float) -> bool:
    """Heard of within a lease; a clock that was put back makes no worker silent."""
    return now - worker.heard_at < LEASE_SECONDS
