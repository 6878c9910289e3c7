"""The log of a run: what it reported, and what the processes of its attempts printed."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from app.core import runs
from app.core.clock import rfc3339
from app.core.db import Database
from app.core.files import Files
from app.core.tables import Event


def records(session: Session, run_id: str, newest: int | None = None) -> list[dict[str, Any]]:
    """The lines of a run's log, oldest first: [{"seq", "time", "level", "message"}]."""
    query = select(Event).where(col(Event.run_id) == run_id, col(Event.kind) == "log")
    query = query.order_by(col(Event.seq).desc())
    if newest is not None:
        query = query.limit(newest)
    found = list(session.execute(query).scalars())[::-1]
    return [{"seq": event.seq, "time": rfc3339(event.time), **event.payload} for event in found]


def text(database: Database, files: Files, run_id: str) -> Iterator[str]:
    """The whole log as text: what the run reported, then what each attempt's process printed. Raises NotFound at once."""
    with database.read() as session:
        runs.get(session, run_id)
        reported = records(session, run_id)
    folder = files.run(run_id)

    def lines() -> Iterator[str]:
        for record in reported:
            yield f"{record['time']} {record.get('level', 'info')}: {record.get('message', '')}\n"
        for path in sorted(folder.glob("attempt-*/log.txt"), key=lambda path: (len(path.parent.name), path)):
            if path.stat().st_size:
                yield f"\n--- {path.parent.name}: what its process printed ---\n"
                with path.open(encoding="utf-8", errors="replace") as file:
                    yield from file

    return lines()
