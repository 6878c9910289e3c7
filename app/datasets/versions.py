"""Versions of a data set: a step makes the next one out of the current one; undo goes back, redo forward again.

    v1 ──drop──▶ v2 ──merge──▶ v3          the current version is Dataset.version
     └──clean──▶ v4                        undo twice from v3, then another step: v2 and v3 stay, and keep their numbers

Rows keep their row ids, so they keep their parts, and a run that used a version finds it for ever. With
app.datasets.store and app.datasets.reading the only place that writes the tables dataset and dataset_version.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from app.core import runs
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.files import Files, write_json
from app.core.tables import DatasetVersion, Run
from app.datasets import journal
from app.datasets import rows as parquet
from app.datasets.locks import changing
from app.datasets.presence import known, still_there
from app.datasets.rewriting import Counts, blocks, counted, next_row_id, rewrite
from app.datasets.steps import Step

STEP_FILE = "step.json"


class Versions:
    """Safe to share between threads, and between processes on one data folder."""

    def __init__(self, database: Database, files: Files, clock: Clock = time.time) -> None:
        self._database, self._files, self._clock = database, files, clock

    def history(self, dataset_id: str) -> list[dict[str, Any]]:
        """All versions, the oldest first, as the JSON API shows them. Raises NotFound."""
        with self._database.read() as session:
            dataset = known(session, dataset_id)
            found = list(session.execute(_of(dataset_id)).scalars())
            query = select(col(Run.dataset_version), func.count()).where(col(Run.dataset_id) == dataset_id)
            users = {
                version: count for version, count in session.execute(query.group_by(col(Run.dataset_version)))
            }
        parents = {one.version: one.parent for one in found}
        line = set(_line(parents, dataset.version))
        return [
            {
                "version": one.version,
                "parent": one.parent,
                "step": one.step,
                "rows": one.rows,
                "columns": one.columns,
                "sha256": one.sha256,
                "created_at": rfc3339(one.created_at),
                "current": one.version == dataset.version,
                "in_use": one.version in line,
                "runs": users.get(one.version, 0),
            }
            for one in found
        ]

    def preview(self, dataset_id: str, step: Step) -> Counts:
        """How many rows of the current version a step would change. Raises NotFound, Conflict, Invalid."""
        found = self._current(dataset_id, step)
        counts, _ = Counts(), step.after(found.columns)
        with still_there(dataset_id):
            for block in blocks(self._files.version(dataset_id, found.version), step):
                counts = counted(counts, block, step.change(block))
        added = len(step.added(found.columns))
        return replace(counts, added=added, after=counts.after + added)

    def apply(
        self, dataset_id: str, step: Step, finding: str | None = None, expected: int | None = None
    ) -> dict[str, Any]:
        """Makes a new version, which is then the current one; returns its entry of the history.

        `expected`: the version that the user looked at. Raises NotFound, Invalid; Conflict if that one is not current any more,
        if the step changes nothing or leaves no row, and while there are edits that are not saved; NoSpace.
        """
        with self._changing(dataset_id):
            return self.apply_locked(dataset_id, step, finding, expected)

    def apply_locked(
        self,
        dataset_id: str,
        step: Step,
        finding: str | None = None,
        expected: int | None = None,
        edits: str | None = None,
    ) -> dict[str, Any]:
        """`apply` for who holds the lock; `edits`: the id of the journal that the step is."""
        parent = self._current(dataset_id, step)
        if expected is not None and expected != parent.version:
            raise Conflict(
                f"The data set is at version {parent.version} by now, not at {expected}. Look at it again, then decide."
            )
        with self._database.read() as session:
            newest = session.execute(
                select(func.max(col(DatasetVersion.version))).where(
                    col(DatasetVersion.dataset_id) == dataset_id
                )
            ).scalar_one()
        made = self._write(dataset_id, parent, newest + 1, step, finding, edits)
        try:
            with self._database.write() as session:
                dataset = known(session, dataset_id)
                dataset.version = made.version
                session.add(made)
        except NotFound:  # deleted while the rows were written
            shutil.rmtree(self._files.dataset(dataset_id), ignore_errors=True)
            raise
        return self.history(dataset_id)[-1]

    def undo(self, dataset_id: str) -> int:
        """The parent of the current version is current again; returns its number. Raises NotFound, Conflict."""
        with self._changing(dataset_id), self._database.write() as session:
            dataset = known(session, dataset_id)
            current = runs.version_of(session, dataset_id, None)
            if current.parent is None:
                raise Conflict(f"{dataset.name} is as it was read: there is nothing to undo.")
            dataset.version = current.parent
            return dataset.version

    def redo(self, dataset_id: str) -> int:
        """The newest version that was made of the current one is current; returns its number. Raises NotFound, Conflict."""
        with self._changing(dataset_id), self._database.write() as session:
            dataset = known(session, dataset_id)
            current = runs.version_of(session, dataset_id, None)
            children = [
                one for one in session.execute(_of(dataset_id)).scalars() if one.parent == current.version
            ]
            if not children:
                raise Conflict(f"Nothing was undone at version {current.version} of {dataset.name}.")
            dataset.version = children[-1].version
            return dataset.version

    # -- inside ---------------------------------------------------------------------------------------------

    def _current(self, dataset_id: str, step: Step) -> DatasetVersion:
        with self._database.read() as session:
            found = runs.version_of(session, dataset_id, None)
        missing = [name for name in step.columns if name not in found.columns]
        if missing:
            message = f"is no column; there are: {', '.join(found.columns)}"
            raise Conflict.from_problems(
                "The step can't be done", [{"where": name, "message": message} for name in missing]
            )
        return found

    def _write(
        self,
        dataset_id: str,
        parent: DatasetVersion,
        version: int,
        step: Step,
        finding: str | None,
        edits: str | None,
    ) -> DatasetVersion:
        source, folder = (
            self._files.version(dataset_id, parent.version),
            self._files.version(dataset_id, version),
        )
        size = (source / parquet.ROWS_FILE).stat().st_size if (source / parquet.ROWS_FILE).is_file() else 0
        columns = step.after(parent.columns)
        self._files.require_free(2 * size, "the new version")
        shutil.rmtree(folder, ignore_errors=True)  # of a process that died before the database knew of it
        folder.mkdir()
        try:
            with still_there(dataset_id):
                first = next_row_id(self._files.dataset(dataset_id)) if step.added(parent.columns) else 0
                counts, sha256 = rewrite(source, folder, columns, step, first)
            title = step.title
            told = {
                "kind": step.kind,
                "title": title,
                "finding": finding,
                "removed": counts.removed,
                "changed": counts.changed,
                "added": counts.added,
                **({"edits": edits} if edits else {}),
            }
            write_json(folder / STEP_FILE, {**told, "step": step.model_dump(mode="json")})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return DatasetVersion(
            dataset_id=dataset_id,
            version=version,
            rows=counts.after,
            columns=columns,
            sha256=sha256,
            created_at=self._clock(),
            parent=parent.version,
            step=told,
        )

    @contextmanager
    def _changing(self, dataset_id: str) -> Iterator[None]:
        """One change at a time, and none over edits that are not saved."""
        with self._database.read() as session:
            known(session, dataset_id)
        with changing(self._files.dataset(dataset_id)):
            with self._database.read() as session:
                journal.require_none(session, self._files, known(session, dataset_id))
            yield


def _of(dataset_id: str) -> Any:
    return (
        select(DatasetVersion)
        .where(col(DatasetVersion.dataset_id) == dataset_id)
        .order_by(col(DatasetVersion.version))
    )


def _line(parents: dict[int, int | None], version: int | None) -> Iterator[int]:
    """The version and what it came from."""
    while version is not None:
        yield version
        version = parents.get(version)
