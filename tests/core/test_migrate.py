"""The schema that alembic makes is the schema of the tables, and HEAD is its newest revision."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from app.core import migrate as migrating
from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.migrate import migrate, revision
from app.core.migrations import HEAD


def test_head_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_migrated_schema_is_the_tables_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_foreign_keys_are_on_again_after_a_migration(database: Database) -> None:
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database)
    assert revision(database.path) == HEAD


def test_a_database_of_a_newer_headstart_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    database = Database(f"sqlite:///{path}")
    with pytest.raises(HeadstartError, match="another version of Headstart"):
        migrate(database)
    database.close()
