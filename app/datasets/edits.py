"""Edits of the current version, one keystroke at a time: kept at once, undone one by one, saved as one version.

    edit, edit, undo, edit ──save──▶ the next version        app/datasets/journal.py: how they lie on the disk

While there are some that are not saved, steps, undo of versions and reading again are refused, and so is a run that doesn't name
its version: what a user has changed is never left out without a word.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from app.core import runs
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, Invalid, Problem
from app.core.files import Files
from app.core.tables import Dataset, DatasetVersion
from app.datasets import journal
from app.datasets import rows as parquet
from app.datasets.changes import Change, name_of, short, words
from app.datasets.journal import EDITS_FILE, Action, Journal, Pending
from app.datasets.locks import changing
from app.datasets.presence import still_there
from app.datasets.rows import LINE, ROW_ID
from app.datasets.steps.edit import MAX_ADDED, MAX_CELLS, MAX_CHARS
from app.datasets.versions import Versions

MAX_LINES = 20_000  # changes of one journal: each look reads them all
MAX_SHOWN = 1000  # rows in an answer


class Edits:
    """Safe to share between threads, and between processes on one data folder."""

    def __init__(
        self, database: Database, files: Files, versions: Versions, clock: Clock = time.time
    ) -> None:
        self._database, self._files, self._versions, self._clock = database, files, versions, clock

    # -- looking --------------------------------------------------------------------------------------------

    def look(self, dataset_id: str, offset: int = 0, limit: int = 0) -> dict[str, Any]:
        """What is not saved yet, as the JSON API shows it, with `limit` of its rows. Raises NotFound; Conflict unless it is ready."""
        with self._database.read() as session:
            found, next_version = self._journal(session, dataset_id)
        return self._told(dataset_id, found, next_version, touched(found.pending)[offset : offset + limit])

    def rows(self, dataset_id: str, ids: Iterable[int]) -> list[dict[str, Any]]:
        """The rows as they are with the edits, without those that are not there. Raises NotFound, Conflict."""
        with self._database.read() as session:
            found, _ = self._journal(session, dataset_id)
        return list(self._rows(dataset_id, found, ids).values())

    def pending(self, dataset_id: str) -> Pending:
        """What the edits come to. Raises NotFound; Conflict unless the data set is ready."""
        return self.snapshot(dataset_id)[1]

    def snapshot(self, dataset_id: str) -> tuple[DatasetVersion, Pending]:
        """The current version, and what its edits come to, of the same moment. Raises NotFound; Conflict unless it is ready."""
        with self._database.read() as session:
            version = runs.version_of(session, dataset_id, None)
            return version, self._journal(session, dataset_id)[0].pending

    # -- changing -------------------------------------------------------------------------------------------

    def change(self, dataset_id: str, change: Change, expected: int | None = None) -> dict[str, Any]:
        """Keeps a change; returns what `look` does, with the rows that it touched.

        `expected`: the version that was looked at. Raises NotFound, Invalid (an empty row); Conflict for rows and columns that are not there, and if
        another version is current, if a cell has another value than was seen, and where too much is not saved.
        """
        with self._changing(dataset_id) as (found, next_version):
            if expected is not None and expected != found.version:
                raise Conflict(
                    f"The data set is at version {found.version} by now, not at {expected}. Look at it again, then change it."
                )
            action = self._checked(dataset_id, found, change)
            if any(action.values()):
                _require_room(found, action)
                journal.append(self._path(dataset_id), found, {**action, "at": round(self._clock(), 3)})
            return self._told(dataset_id, found, next_version, _rows_of(action))

    def undo(self, dataset_id: str) -> dict[str, Any]:
        """The last change does not count any more; returns what `change` does. Raises NotFound, Conflict."""
        return self._turn(dataset_id, "undo", "There is no change to undo.")

    def redo(self, dataset_id: str) -> dict[str, Any]:
        """The change that was undone last counts again; returns what `change` does. Raises NotFound, Conflict."""
        return self._turn(dataset_id, "redo", "No change was undone.")

    def discard(self, dataset_id: str) -> dict[str, Any]:
        """No change counts any more; `undo` brings them all back. Raises NotFound, Conflict."""
        with self._changing(dataset_id) as (found, next_version):
            if found.pending.count:
                journal.append(self._path(dataset_id), found, {"discard": True})
            return self._told(dataset_id, found, next_version, None)

    def save(self, dataset_id: str, expected: int | None = None) -> dict[str, Any]:
        """All changes become the next version; returns its entry of the history. Raises NotFound, Conflict, NoSpace."""
        with self._changing(dataset_id) as (found, _):
            pending = found.pending
            if not pending.count:
                raise Conflict("There is no change to save.")
            version = expected or found.version
            made = self._versions.apply_locked(dataset_id, pending.step(), expected=version, edits=found.id)
            self._path(dataset_id).unlink(missing_ok=True)
            return made

    # -- inside ---------------------------------------------------------------------------------------------

    def _path(self, dataset_id: str) -> Any:
        return self._files.dataset(dataset_id) / EDITS_FILE

    def _journal(self, session: Session, dataset_id: str) -> tuple[Journal, int]:
        """The journal of the current version, and the number that the next one gets."""
        runs.version_of(session, dataset_id, None)  # it is there, and ready
        dataset = session.get(Dataset, dataset_id)
        assert dataset is not None
        query = select(func.max(col(DatasetVersion.version))).where(
            col(DatasetVersion.dataset_id) == dataset_id
        )
        return journal.current(session, self._files, dataset), session.execute(query).scalar_one() + 1

    @contextmanager
    def _changing(self, dataset_id: str) -> Iterator[tuple[Journal, int]]:
        with self._database.read() as session:
            runs.version_of(session, dataset_id, None)
        with changing(self._files.dataset(dataset_id)):
            with self._database.read() as session:
                found = self._journal(session, dataset_id)
            yield found

    def _turn(self, dataset_id: str, way: str, nothing: str) -> dict[str, Any]:
        with self._changing(dataset_id) as (found, next_version):
            stack = found.done if way == "undo" else found.undone
            if not stack:
                raise Conflict(nothing)
            action = stack[-1]
            journal.append(self._path(dataset_id), found, {way: True})
            return self._told(dataset_id, found, next_version, _rows_of(action))

    def _checked(self, dataset_id: str, found: Journal, change: Change) -> Action:
        """The change as a line of the journal, without what is so already."""
        with self._database.read() as session:
            columns = runs.version_of(session, dataset_id, found.version).columns
        problems: list[Problem] = [
            {"where": name, "message": f"is no column; there are: {', '.join(columns)}"}
            for name in change.columns
            if name not in columns
        ]
        pending = found.pending
        named = dict.fromkeys([*(one.row for one in change.cells), *change.drop, *change.restore])
        rows = self._rows(dataset_id, found, named)
        problems += [
            {"where": f"row {row}", "message": "is no row of this version; look at the rows again"}
            for row in named
            if row not in rows
        ]
        gone = bool(problems)
        problems += [
            {"where": f"add.{place}", "message": "is empty in every column; write something into one"}
            for place, row in enumerate(change.add)
            if not any(value.strip() for value in row.values())
        ]
        if problems:
            # A column or row that is not there is no fault of the change: there may have been one.
            raise (Conflict if gone else Invalid).from_problems("The change can't be made", problems)
        cells = []
        now = {row: dict(one["cells"]) for row, one in rows.items()}
        for one in change.cells:
            there = now[one.row][one.column]
            if one.row in pending.dropped and one.row not in change.restore:
                raise Conflict(
                    f"{name_of(rows[one.row])} is marked to be dropped: take that back, then edit it."
                )
            if one.before != there:
                raise Conflict(
                    f"{name_of(rows[one.row])} has {short(there)} in {one.column} by now, not {short(one.before)}: it was changed "
                    "elsewhere. Look at it again, then change it."
                )
            if one.value != there:
                cells.append([one.row, one.column, one.value, there])
                now[one.row][one.column] = one.value
        return {
            "cells": cells,
            "drop": [row for row in dict.fromkeys(change.drop) if row not in pending.dropped],
            "restore": [row for row in dict.fromkeys(change.restore) if row in pending.dropped],
            "add": [[found.lowest - 1 - place, row] for place, row in enumerate(change.add)],
        }

    def _told(
        self, dataset_id: str, found: Journal, next_version: int, rows: Iterable[int] | None
    ) -> dict[str, Any]:
        """`rows` None: too many to tell."""
        pending = found.pending
        there = None if rows is None else self._rows(dataset_id, found, list(rows)[:MAX_SHOWN])
        return {
            "version": found.version,
            "next_version": next_version,
            "changes": pending.count,
            "cells": pending.by_column,
            "added": len(pending.coming),
            "dropped": len(pending.going),
            "undo": words(found.done[-1]) if found.done else None,
            "redo": words(found.undone[-1]) if found.undone else None,
            "rows": None if there is None else list(there.values()),
        }

    def _rows(self, dataset_id: str, found: Journal, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The rows as they are with the edits, in the order of `ids`, without those that are not there. A row that was added and
        whose adding was undone is not there."""
        ids = list(ids)
        folder = self._files.version(dataset_id, found.version)
        with still_there(dataset_id):
            saved = parquet.read_placed(folder, [row for row in ids if row >= 0])
        pending, names = found.pending, None
        result = {}
        for row in ids:
            if row in saved:
                position, one = saved[row]
                result[row] = shown(pending, position, dict(one))
            elif row in pending.added:
                names = names or parquet.column_names(folder)
                result[row] = shown_new(pending, row, names)
        return result


def shown(pending: Pending, position: int, cells: dict[str, Any]) -> dict[str, Any]:
    """A row of the version with the edits: `cells` as they would be saved, `saved` what is saved where that differs; `position`:
    from 0, None for a row that was added."""
    row, line = cells.pop(ROW_ID), cells.pop(LINE)
    edited = pending.cells.get(row, {})
    return {
        "row_id": row,
        "line": line,
        "position": position,
        "cells": {**cells, **edited},
        "saved": {name: cells[name] for name in edited},
        "dropped": row in pending.dropped,
        "added": False,
    }


def shown_new(pending: Pending, row: int, columns: Iterable[str]) -> dict[str, Any]:
    """An added row in the same form."""
    cells = {name: pending.added[row].get(name, "") for name in columns}
    return {
        "row_id": row,
        "line": 0,
        "position": None,
        "cells": cells,
        "saved": {},
        "dropped": row in pending.dropped,
        "added": True,
    }


def _rows_of(action: Action) -> list[int] | None:
    if "discard" in action:
        return None
    rows = [*(cell[0] for cell in action["cells"]), *action["drop"], *action["restore"]]
    return list(dict.fromkeys([*rows, *(row for row, _ in action["add"])]))


def touched(pending: Pending) -> list[int]:
    """The rows that have an edit: those of the version in their order, then the added ones."""
    return [*sorted(pending.cells.keys() | pending.going), *sorted(pending.added, reverse=True)]


def _require_room(found: Journal, action: Action) -> None:
    pending = found.pending
    cells = sum(pending.by_column.values()) + len(action["cells"])
    chars = sum(
        len(value)
        for values in (*pending.cells.values(), *pending.added.values())
        for value in values.values()
    )
    chars += sum(len(cell[2]) for cell in action["cells"])
    chars += sum(len(value) for _, row in action["add"] for value in row.values())
    full = found.lines >= MAX_LINES or cells > MAX_CELLS or chars > MAX_CHARS
    if full or len(pending.added) + len(action["add"]) > MAX_ADDED:
        raise Conflict(
            f"There is no room for more: {journal.unsaved(pending.count)}. Save first, then go on."
        )
