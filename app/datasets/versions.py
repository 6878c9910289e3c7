"""Versions of a data set: a step makes the next one out of the current one; undo goes back, redo forward again.

    v1 ──drop──▶ v2 ──merge──▶ v3          the current version is Dataset.version
     └──clean──▶ v4                        undo twice from v3, then another step: v2 and v3 stay, and keep their numbers

Rows keep their row ids, so they keep their parts, and a run that used a version finds it for ever. With
app.datasets.store and app.datasets.reading the only place that writes the tables dataset and dataset_version.
"""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from app.core import runs
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.files import Files, read_json, write_json
from app.core.tables import Dataset, DatasetVersion, Run
from app.datasets import rows as parquet
from app.datasets.column_findings import of_columns
from app.datasets.ingest import PROFILE_FILE
from app.datasets.profile import Profile
from app.datasets.rows import LINE, ROW_ID, RowsWriter
from app.datasets.steps import Step

if TYPE_CHECKING:
    import pyarrow

STEP_FILE = "step.json"


@dataclass(frozen=True)
class Counts:
    """What a step does, in rows. `after`: how many rows there are then."""

    removed: int = 0
    changed: int = 0
    added: int = 0
    after: int = 0

    @property
    def touched(self) -> int:
        return self.removed + self.changed + self.added


class Versions:
    """Safe to share between threads, and between processes on one data folder."""

    def __init__(self, database: Database, files: Files, clock: Clock = time.time) -> None:
        self._database, self._files, self._clock = database, files, clock

    def history(self, dataset_id: str) -> list[dict[str, Any]]:
        """All versions, the oldest first, as the JSON API shows them. Raises NotFound."""
        with self._database.read() as session:
            dataset = _dataset(session, dataset_id)
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
        counts = Counts()
        with _still_there(dataset_id):
            for block in parquet.blocks(self._files.version(dataset_id, found.version)):
                counts = _counted(counts, block, step.change(block))
        added = len(step.added(found.columns))
        return replace(counts, added=added, after=counts.after + added)

    def apply(
        self, dataset_id: str, step: Step, finding: str | None = None, expected: int | None = None
    ) -> dict[str, Any]:
        """Makes a new version, which is then the current one; returns its entry of the history.

        `expected`: the version that the user looked at. Raises NotFound, Invalid; Conflict if that one is not current any more
        and if the step changes nothing or leaves no row; NoSpace.
        """
        with self._changing(dataset_id):
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
            made = self._write(dataset_id, parent, newest + 1, step, finding)
            try:
                with self._database.write() as session:
                    dataset = _dataset(session, dataset_id)
                    dataset.version = made.version
                    session.add(made)
            except NotFound:  # deleted while the rows were written
                shutil.rmtree(self._files.dataset(dataset_id), ignore_errors=True)
                raise
        return self.history(dataset_id)[-1]

    def undo(self, dataset_id: str) -> int:
        """The parent of the current version is current again; returns its number. Raises NotFound, Conflict."""
        with self._changing(dataset_id), self._database.write() as session:
            dataset = _dataset(session, dataset_id)
            current = runs.version_of(session, dataset_id, None)
            if current.parent is None:
                raise Conflict(f"{dataset.name} is as it was read: there is nothing to undo.")
            dataset.version = current.parent
            return dataset.version

    def redo(self, dataset_id: str) -> int:
        """The newest version that was made of the current one is current; returns its number. Raises NotFound, Conflict."""
        with self._changing(dataset_id), self._database.write() as session:
            dataset = _dataset(session, dataset_id)
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
            raise Invalid.from_problems(
                "The step can't be done", [{"where": name, "message": message} for name in missing]
            )
        return found

    def _write(
        self, dataset_id: str, parent: DatasetVersion, version: int, step: Step, finding: str | None
    ) -> DatasetVersion:
        source, folder = (
            self._files.version(dataset_id, parent.version),
            self._files.version(dataset_id, version),
        )
        size = (source / parquet.ROWS_FILE).stat().st_size if (source / parquet.ROWS_FILE).is_file() else 0
        self._files.require_free(2 * size, "the new version")
        shutil.rmtree(folder, ignore_errors=True)  # of a process that died before the database knew of it
        folder.mkdir()
        try:
            with _still_there(dataset_id):
                first = _next_row_id(self._files.dataset(dataset_id)) if step.added(parent.columns) else 0
                counts, sha256 = _rewrite(source, folder, parent.columns, step, first)
            title = step.title
            told = {
                "kind": step.kind,
                "title": title,
                "finding": finding,
                "removed": counts.removed,
                "changed": counts.changed,
                "added": counts.added,
            }
            write_json(folder / STEP_FILE, {**told, "step": step.model_dump(mode="json")})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return DatasetVersion(
            dataset_id=dataset_id,
            version=version,
            rows=counts.after,
            columns=parent.columns,
            sha256=sha256,
            created_at=self._clock(),
            parent=parent.version,
            step=told,
        )

    @contextmanager
    def _changing(self, dataset_id: str) -> Iterator[None]:
        """One change at a time; the lock is that of reading."""
        with self._database.read() as session:
            _dataset(session, dataset_id)
        folder = self._files.dataset(dataset_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _rewrite(source: Path, folder: Path, columns: list[str], step: Step, first: int) -> tuple[Counts, str]:
    """rows.parquet and profile.json of the next version; returns (counts, content hash). `first`: the id of the first new row."""
    before = read_json(source / PROFILE_FILE)
    profile, writer = Profile(columns, before.get("kind", "csv")), RowsWriter(folder, columns)
    counts = Counts()
    try:
        for block in parquet.blocks(source):
            changed = step.change(block)
            counts = _counted(counts, block, changed)
            _keep(changed, writer, profile, columns)
        new = step.added(columns)
        if new:
            _keep(_table(new, columns, first), writer, profile, columns)
        counts = replace(counts, added=len(new), after=counts.after + len(new))
        if not counts.touched:
            raise Conflict("That changes no row: the data set is like this already.")
        if not counts.after:
            raise Conflict("That would leave no row at all.")
        profile.finish()
        # What was said of the file stays true; what was said of columns is looked at anew.
        kept = [one for one in before["problems"] if not one["where"].startswith("column ")]
        write_json(folder / PROFILE_FILE, {**profile.as_dict(), "problems": [*kept, *of_columns(profile)]})
        return counts, writer.finish()
    except BaseException:
        writer.abort()
        raise


def _next_row_id(dataset_folder: Path) -> int:
    """Greater than that of any row of any version: an id that was given once never means another row."""
    import pyarrow.parquet as pq

    highest = -1
    for path in dataset_folder.glob(f"v*/{parquet.ROWS_FILE}"):
        with pq.ParquetFile(path) as file:  # ids ascend
            last = file.read_row_group(file.metadata.num_row_groups - 1, columns=[ROW_ID])[ROW_ID]
        highest = max(highest, last[-1].as_py())
    return highest + 1


def _keep(block: "pyarrow.Table", writer: RowsWriter, profile: Profile, columns: list[str]) -> None:
    if not len(block):
        return
    writer.write_table(block)
    profile.add([block[name].to_pylist() for name in columns], block[LINE].to_pylist())


def _counted(counts: Counts, before: "pyarrow.Table", after: "pyarrow.Table") -> Counts:
    import pyarrow.compute as pc

    removed = len(before) - len(after)
    if removed:
        before = before.filter(pc.is_in(before[ROW_ID], value_set=after[ROW_ID].combine_chunks()))
    differs = None
    for name in after.column_names:
        if after[name] is before[name] or after[name].equals(before[name]):
            continue
        one = pc.not_equal(after[name], before[name])
        differs = one if differs is None else pc.or_(differs, one)
    changed = 0 if differs is None else int(pc.sum(differs).as_py() or 0)
    return replace(
        counts,
        removed=counts.removed + removed,
        changed=counts.changed + changed,
        after=counts.after + len(after),
    )


def _table(new: Any, columns: list[str], first: int) -> "pyarrow.Table":
    import pyarrow as pa

    cells = {name: pa.array([row.get(name, "") for row in new], pa.string()) for name in columns}
    ids = pa.array(range(first, first + len(new)), pa.int64())
    return pa.table({ROW_ID: ids, LINE: pa.array([0] * len(new), pa.int64()), **cells})


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


def _dataset(session: Session, dataset_id: str) -> Dataset:
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no data set {dataset_id!r}. It may have been deleted.")
    return dataset


@contextmanager
def _still_there(dataset_id: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"The rows of data set {dataset_id!r} are gone. It may have been deleted.") from error
