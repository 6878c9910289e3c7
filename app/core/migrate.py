"""Brings the database to the newest schema with alembic; does nothing, and imports nothing, when it is there."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.migrations import HEAD


def migrate(database: Database) -> None:
    """Creates or upgrades the schema. Several processes may call it at once: a file lock orders them.

    Raises HeadstartError if the database comes from a newer Headstart.
    """
    if revision(database.path) == HEAD:
        return
    database.path.parent.mkdir(parents=True, exist_ok=True)
    with database.path.with_name(database.path.name + ".migrate").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if revision(database.path) != HEAD:
            _upgrade(database)


def revision(path: Path) -> str | None:
    """The schema's revision, None for a database without one."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        if not found:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.engine.connect() as connection:
        # A batch migration rebuilds tables: with foreign keys on it would delete their children.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise HeadstartError(
                f"The database {database.path} was written by another version of Headstart "
                f"({error}). Use that version, or another HEADSTART_HOME."
            ) from error
        broken = connection.execute(text("PRAGMA foreign_key_check")).all()
        if broken:
            raise HeadstartError(f"The migration left broken references in {database.path}: {broken}")
        connection.commit()
        raw.execute("PRAGMA foreign_keys=ON")
