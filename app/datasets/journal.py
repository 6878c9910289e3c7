"""Edits that are not a version yet, on the disk: datasets/ID/edits.jsonl, to which every keystroke adds a line.

    {"journal": "k3…", "version": 3}                                   the version that was edited
    {"cells": [[17, "label", "neg", "pos"]], "drop": [], "restore": [], "add": [[-1, {"text": "…"}]]}
    {"undo": true}                                                     the last one that counts does not count any more
    {"redo": true}
    {"discard": true}                                                  all before is left out; can be undone too

A row that is added has a negative number until it is saved. A cell is [row, column, value, value before]. A line that a crash
cut off is no line.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from app.core.errors import Conflict
from app.core.files import Files, new_id, sync
from app.core.tables import Dataset, DatasetVersion
from app.datasets.steps.edit import Edit

EDITS_FILE = "edits.jsonl"
Action = Mapping[str, Any]


@dataclass
class Pending:
    """What the edits come to. `cells`: row → column → value, only where it differs from what is saved; `saved`: the same of what
    is saved; `added`: row → cells as they are now; `came`: as they were when the row was added; `dropped`: rows that are there, or
    were added."""

    cells: dict[int, dict[str, str]] = field(default_factory=dict)
    saved: dict[int, dict[str, str]] = field(default_factory=dict)
    added: dict[int, dict[str, str]] = field(default_factory=dict)
    came: dict[int, Mapping[str, str]] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)

    def do(self, action: Action) -> None:
        for row, column, value, before in action.get("cells", ()):
            if row in self.added:
                self.added[row][column] = value
                continue
            saved = self.saved.setdefault(row, {}).setdefault(column, before)
            self.cells.setdefault(row, {})[column] = value
            if value == saved:
                del self.cells[row][column], self.saved[row][column]
                if not self.cells[row]:
                    del self.cells[row], self.saved[row]
        self.added.update((row, dict(cells)) for row, cells in action.get("add", ()))
        self.came.update(action.get("add", ()))
        self.dropped.update(action.get("drop", ()))
        self.dropped.difference_update(action.get("restore", ()))

    @property
    def coming(self) -> dict[int, dict[str, str]]:
        """The added rows that were not dropped again."""
        return {row: cells for row, cells in self.added.items() if row not in self.dropped}

    @property
    def going(self) -> set[int]:
        """The dropped rows of the version."""
        return {row for row in self.dropped if row >= 0}

    @property
    def by_column(self) -> dict[str, int]:
        """How many cells of rows that stay differ, by column; the commonest first."""
        counted = Counter(
            name for row, cells in self.cells.items() if row not in self.dropped for name in cells
        )
        return dict(counted.most_common())

    @property
    def count(self) -> int:
        return sum(self.by_column.values()) + len(self.coming) + len(self.going)

    def step(self) -> Edit:
        """All of it as one step. There must be something."""
        cells = [
            {"row": row, "column": column, "value": value}
            for row, values in self.cells.items()
            if row not in self.dropped
            for column, value in values.items()
        ]
        add = [self.added[row] for row in sorted(self.coming, reverse=True)]
        return Edit.model_validate({"kind": "edit", "cells": cells, "drop": sorted(self.going), "add": add})


class Journal:
    """The edits of one version, in memory. `done`: the actions that count, in their order; `undone`: what redo would do next is last."""

    def __init__(self, identity: str, version: int) -> None:
        self.id, self.version = identity, version
        self.done: list[Action] = []
        self.undone: list[Action] = []
        self.lines = 0
        self.size = 0  # bytes of whole lines in the file
        self.lowest = 0  # the number of the row that was added last
        self._pending: Pending | None = None

    def take(self, line: Action) -> None:
        self.lines += 1
        if "undo" in line or "redo" in line or "discard" in line:
            self._pending = None
        elif self._pending is not None:
            self._pending.do(line)
        if "undo" in line:
            self.undone.append(self.done.pop())
        elif "redo" in line:
            self.done.append(self.undone.pop())
        else:
            self.done.append(line)
            self.undone.clear()
            self.lowest = min([self.lowest, *(row for row, _ in line.get("add", ()))])

    @property
    def pending(self) -> Pending:
        """What `done` comes to; it follows the lines that are taken, and is not to be changed otherwise."""
        if self._pending is None:
            self._pending = fold(self.done)
        return self._pending


def fold(actions: Iterable[Action]) -> Pending:
    pending = Pending()
    for action in actions:
        if "discard" in action:
            pending = Pending()
        else:
            pending.do(action)
    return pending


def read(path: Path) -> Journal | None:
    """The journal at `path`; None if there is none, or not even its first line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    journal = None
    size = data.rfind(b"\n") + 1
    for line in data[:size].splitlines():
        told = json.loads(line)
        if journal is None:
            journal = Journal(told["journal"], told["version"])
        else:
            journal.take(told)
    if journal is not None:
        journal.size = size
    return journal


def append(path: Path, journal: Journal, line: Action) -> None:
    """Takes `line` into the journal, first on the disk. Only for who holds the data set's lock."""
    data = _line(line)
    if not journal.lines:
        data = _line({"journal": journal.id, "version": journal.version}) + data
        _write(path.with_suffix(".part"), data, "wb")
        os.replace(path.with_suffix(".part"), path)
        sync(path.parent)
    else:
        if path.stat().st_size > journal.size:  # cut off by a crash
            os.truncate(path, journal.size)
        _write(path, data, "ab")
    journal.size += len(data)
    journal.take(line)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write(path: Path, data: bytes, mode: str) -> None:
    with path.open(mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def current(session: Session, files: Files, dataset: Dataset) -> Journal:
    """The journal of the current version; an empty one where the edits on the disk were saved already, or are of no matter."""
    journal = read(files.dataset(dataset.id) / EDITS_FILE)
    if (
        journal is not None
        and journal.version == dataset.version
        and not _is_saved(session, dataset.id, journal)
    ):
        return journal
    return Journal(new_id(), dataset.version)


def require_none(session: Session, files: Files, dataset: Dataset) -> None:
    """Raises Conflict if there are edits that are not saved yet."""
    count = current(session, files, dataset).pending.count
    if count:
        raise Conflict(f"{dataset.name} has {unsaved(count)}: save or discard them first.")


def unsaved(count: int) -> str:
    return "1 change that is not saved yet" if count == 1 else f"{count:,} changes that are not saved yet"


def _is_saved(session: Session, dataset_id: str, journal: Journal) -> bool:
    """Whether a version was made of it: a crash may come between that and the end of the file."""
    steps = session.execute(
        select(col(DatasetVersion.step)).where(
            col(DatasetVersion.dataset_id) == dataset_id, col(DatasetVersion.parent) == journal.version
        )
    ).scalars()
    return any(step is not None and step.get("edits") == journal.id for step in steps)
