"""The life that jobs beside the training have in common: files that are predicted, searches for wrong labels.

    queued ──claim──▶ running ──finish──▶ succeeded | failed | cancelled
       ▲                 │
       └─ lease ran out ─┘   (claim takes it; after MAX_FAILURES crashes it fails)

As with runs, a claim gives an attempt number and a lease, and every later write is fenced by them. worker/side_jobs.py does them.
"""

from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlmodel import Session, col

from app.core.runs import MAX_FAILURES, rowcount
from app.core.tables import FilePrediction, LabelCheck

LEASE_SECONDS = 15.0
Job = TypeVar("Job", FilePrediction, LabelCheck)


class LostJob(Exception):
    """The job belongs to another attempt, or it is over or deleted: stop, and write nothing."""


class Life(Generic[Job]):
    """Of the jobs of one table."""

    def __init__(self, table: type[Job], key: str, crashed: str) -> None:
        """`key`: the name of its primary key; `crashed`: the sentence for one that ends its process each time."""
        self._table: type[Job] = table
        self._key, self._crashed = key, crashed

    def waiting(self, session: Session, now: float) -> bool:
        """Whether `claim` would find one: a look that takes no lock."""
        query = select(col(self._table.attempt)).where(self._claimable(now))
        return session.execute(query.limit(1)).first() is not None

    def claim(self, session: Session, now: float, **afresh: Any) -> Job | None:
        """Takes the oldest one that is queued or whose lease ran out, with its `attempt`; None if there is none. `afresh`: columns
        that begin anew.

        A lost lease counts as a failure: one that ends its process each time fails, and is not tried for ever.
        """
        query = select(self._table).where(self._claimable(now)).order_by(col(self._table.created_at))
        jobs: list[Job] = list(session.execute(query).scalars())
        for found in jobs:
            if found.state == "running":
                found.failures += 1
            session.add(found)
            if found.cancel_requested:
                _end(found, "cancelled", now)
            elif found.failures >= MAX_FAILURES:
                _end(found, "failed", now, {"kind": "bug", "message": self._crashed, "problems": []})
            else:
                found.state, found.attempt, found.started_at = "running", found.attempt + 1, now
                found.lease_until, found.error = now + LEASE_SECONDS, None
                for name, value in afresh.items():
                    setattr(found, name, value)
                session.flush()
                return found
        session.flush()
        return None

    def record(self, session: Session, key: str, attempt: int, now: float, **values: Any) -> bool:
        """Renews the lease and stores `values`; returns whether to stop. Raises LostJob."""
        self._fence(session, key, attempt, {"lease_until": now + LEASE_SECONDS, **values})
        found = session.get(self._table, key)
        assert found is not None
        session.refresh(found)
        return found.cancel_requested

    def finish(
        self,
        session: Session,
        key: str,
        attempt: int,
        state: str,
        now: float,
        error: dict[str, Any] | None = None,
        **values: Any,
    ) -> None:
        """Ends it as succeeded, failed (with `error`) or cancelled, and stores `values`. Raises LostJob."""
        ended = {"state": state, "finished_at": now, "lease_until": None, "error": error, **values}
        self._fence(session, key, attempt, ended)

    def cancel(self, session: Session, found: Job, now: float) -> Job:
        """Ends a queued one, asks a running one to stop; one that was cancelled stays as it is."""
        if found.state == "queued":
            _end(found, "cancelled", now)
        else:
            found.cancel_requested = found.state == "running"
        session.add(found)
        session.flush()
        return found

    def _claimable(self, now: float) -> ColumnElement[bool]:
        lost = and_(col(self._table.state) == "running", col(self._table.lease_until) < now)
        return or_(col(self._table.state) == "queued", lost)

    def _fence(self, session: Session, key: str, attempt: int, values: dict[str, Any]) -> None:
        mine = (
            getattr(self._table, self._key) == key,
            col(self._table.attempt) == attempt,
            col(self._table.state) == "running",
        )
        if rowcount(session.execute(update(self._table).where(*mine).values(**values))) != 1:
            raise LostJob(f"{key} no longer belongs to attempt {attempt}")


def _end(found: Job, state: str, now: float, error: dict[str, Any] | None = None) -> None:
    found.state, found.finished_at, found.lease_until, found.error = state, now, None, error
