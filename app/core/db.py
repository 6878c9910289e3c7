"""The database: SQLite in WAL mode with one way to read and one way to write.

A writing session begins with BEGIN IMMEDIATE: with the default deferred BEGIN two writers that read first
lose updates or fail with "database is locked" although busy_timeout is set. Reads never wait for writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

# What may pass: another writer, a full disk, a disk that has become read-only.
PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


class Database:
    """Sessions on one SQLite file. Safe to share between threads; not across fork."""

    def __init__(self, url: str, patience: float = 5.0) -> None:
        """`patience`: seconds to wait for another writer before it is an OperationalError."""
        self.url = url
        self.engine = _engine(url, patience)
        self._writing = self.engine.execution_options(immediate=True)

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent snapshot. Nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one BEGIN IMMEDIATE transaction; commits at the end, rolls back on an exception."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()


def may_pass(error: OperationalError) -> bool:
    """Whether the database refused for its surroundings, so that the same may succeed later; else the fault is ours."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in PASSING  # above: which kind of it


def _engine(url: str, patience: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": patience, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # We send BEGIN ourselves (below); the driver must not.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
