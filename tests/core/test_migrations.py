"""From every schema that there has been, with data in it, to the newest: nothing of the data is lost on the way."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from app.core import attempts, runs
from app.core import migrate as migrating
from app.core.db import Database
from app.core.migrate import migrate, revision
from app.core.migrations import HEAD

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
REVISIONS = sorted(one.revision for one in ScriptDirectory.from_config(CONFIG).walk_revisions())

PARENT, CHILD = "p" * 12, "c" * 12
# All that a row may hold; a schema takes what it has columns for.
RUN: dict[str, Any] = {
    "dataset_id": "d" * 12,
    "dataset_version": 1,
    "dataset_sha256": "0" * 64,
    "task": "classification",
    "spec": {"model": "starter", "task": "classification"},
    "attempt": 2,
    "cancel_requested": 0,
    "failures": 1,
    "phase": "",
    "step": 7,
    "steps": 9,
    "epoch": 0.5,
    "created_at": 1.5,
    "event_seq": 3,
    "metrics": {"accuracy": 0.75},
    "checkpoint_step": 5,
    "pause_requested": 0,
}
# In the order of their references.
ROWS: list[tuple[str, dict[str, Any]]] = [
    (
        "dataset",
        {
            "id": "d" * 12,
            "name": "Bücher.csv",
            "state": "ready",
            "version": 1,
            "bytes": 10,
            "bytes_read": 10,
            "created_at": 1.0,
            "options": {"asked": {"encoding": None}},
        },
    ),
    (
        "dataset_version",
        {
            "dataset_id": "d" * 12,
            "version": 1,
            "rows": 3,
            "columns": ["text", "label"],
            "sha256": "0" * 64,
            "created_at": 1.0,
        },
    ),
    ("run", {**RUN, "id": PARENT, "name": "parent", "state": "succeeded", "weights_sha256": "1" * 64}),
    ("run", {**RUN, "id": CHILD, "name": "child", "state": "queued", "parent_id": PARENT}),
    *(
        ("point", {"run_id": PARENT, "series": "train/loss", "step": step, "value": 1 / step, "time": 2.0})
        for step in (1, 2, 3)
    ),
    ("point", {"run_id": PARENT, "series": "train/loss", "step": 4, "value": None, "time": 2.0}),
    *(
        ("event", {"run_id": PARENT, "seq": seq, "kind": "log", "payload": {"message": "ä"}, "time": 2.0})
        for seq in (1, 2, 3)
    ),
    (
        "worker",
        {
            "id": "w",
            "host": "h",
            "pid": 1,
            "pid_started": 1.0,
            "slots": 1,
            "started_at": 1.0,
            "heard_at": 2.0,
        },
    ),
    (
        "file_prediction",
        {
            "id": "f" * 12,
            "run_id": PARENT,
            "name": "new.csv",
            "columns": {"text": "text"},
            "state": "succeeded",
            "attempt": 1,
            "cancel_requested": 0,
            "failures": 0,
            "done": 3,
            "created_at": 3.0,
        },
    ),
    (
        "label_check",
        {
            "run_id": PARENT,
            "state": "running",
            "attempt": 1,
            "lease_until": 9.0,
            "cancel_requested": 0,
            "failures": 0,
            "phase": "comparing words",
            "progress": 0.25,
            "created_at": 4.0,
        },
    ),
]


def made(path: Path, schema: str) -> None:
    """A database as the Headstart of that schema left it."""
    database = Database(f"sqlite:///{path}")
    with database.engine.connect() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, schema)
        connection.commit()
    database.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA foreign_keys=ON")
        for table, row in ROWS:
            insert(raw, table, row)
        raw.commit()


def insert(raw: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    there = raw.execute(f"PRAGMA table_info({table})").fetchall()
    if not there:
        return
    values: dict[str, Any] = {}
    for _, name, kind, required, default, _ in there:
        if name in row:
            value = row[name]
            values[name] = json.dumps(value) if isinstance(value, dict | list) else value
        elif required and default is None:
            values[name] = "" if "CHAR" in kind else 0
    marks = ", ".join("?" for _ in values)
    names = ", ".join(f'"{name}"' for name in values)
    raw.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def everything(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        tables = [
            row[0]
            for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if row[0] != "alembic_version"
        ]
        return {
            table: [dict(row) for row in raw.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]
            for table in tables
        }


@pytest.mark.parametrize("schema", REVISIONS)
def test_the_rows_of_every_earlier_schema_are_all_there_afterwards(schema: str, tmp_path: Path) -> None:
    path = tmp_path / "headstart.db"
    made(path, schema)
    before = everything(path)
    assert len(before["run"]) == 2
    assert len(before["point"]) == 4
    database = Database(f"sqlite:///{path}")
    migrate(database)
    after = everything(path)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else after[table]
        assert kept == rows, table
    assert revision(path) == HEAD
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    works(database)
    database.close()


def works(database: Database) -> None:
    """The store of today reads what is there, and moves it; a run takes its points along when it goes."""
    with database.write() as session:
        assert runs.get(session, PARENT).metrics == {"accuracy": 0.75}
        assert attempts.claim(session, CHILD, 100.0) == 3
        attempts.finish(session, CHILD, 3, "failed", 101.0)
        for run_id in (CHILD, PARENT):
            runs.remove(session, run_id)
        assert session.connection().exec_driver_sql("SELECT count(*) FROM point").scalar() == 0
