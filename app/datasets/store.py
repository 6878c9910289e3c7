"""The data sets: upload, look, delete. With app.datasets.reading and app.datasets.versions the only place that writes the
tables dataset and dataset_version."""

import logging
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlmodel import Session, col

from app.core import runs
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, Invalid
from app.core.files import ID_PATTERN, Files, new_id, read_json, write_json
from app.core.tables import Dataset, DatasetVersion, Run
from app.datasets import journal, remote
from app.datasets import rows as parquet
from app.datasets.encoding_preview import Reading, readings
from app.datasets.findings import Finding
from app.datasets.ingest import PROFILE_FILE
from app.datasets.locks import changing
from app.datasets.options import ReadOptions
from app.datasets.presence import known, still_there
from app.datasets.reading import SOURCE, OriginalReader
from app.datasets.upload import ORIGINAL, Upload, is_alive, label
from app.datasets.views import errors_of, summary

if TYPE_CHECKING:
    import pyarrow

__all__ = ["DatasetStore", "ReadOptions", "Upload"]

MAX_PAGE = 1000
_ORPHAN_SECONDS = 3600.0
_log = logging.getLogger(__name__)


class DatasetStore:
    """Safe to share between threads, and between processes on one data folder."""

    def __init__(self, database: Database, files: Files, clock: Clock = time.time) -> None:
        self._database, self._files, self._clock = database, files, clock
        self._reader = OriginalReader(database, files, clock)

    # -- coming in ------------------------------------------------------------------------------------------

    def begin(self, name: str, expected_bytes: int | None) -> Upload:
        """Begins an upload. Raises Invalid for an empty name, NoSpace if `expected_bytes` would not fit."""
        shown = label(name)
        # The original, and its rows once more.
        self._files.require_free(2 * (expected_bytes or 0), f"the upload of {shown}")
        return Upload(self._database, self._files, shown, self._clock)

    def begin_remote(self, url: str, name: str, private: bool) -> str:
        """A data set whose file `read` will fetch from `url`; see `remote.fetch`. Returns its id. Raises Invalid, NoSpace."""
        remote.check(url)
        shown = label(name)
        self._files.require_free(0, f"fetching {shown}")
        dataset_id = new_id()
        folder = self._files.version(dataset_id, 1)
        folder.mkdir(parents=True)
        write_json(folder / SOURCE, {"url": url, "private": private})
        asked = {"asked": ReadOptions().as_dict()}
        with self._database.write() as session:
            session.add(Dataset(id=dataset_id, name=shown, created_at=self._clock(), options=asked))
        return dataset_id

    def read(self, dataset_id: str) -> None:
        """Reads the original into rows: blocks until the state is ready or failed.

        Does nothing for a data set that is not in state "reading"; a second caller waits for the first.
        """
        self._reader.read(dataset_id)

    def is_to_fetch(self, dataset_id: str) -> bool:
        """Whether `read` will fetch the file first."""
        return self._reader.is_to_fetch(dataset_id)

    def unread(self) -> list[str]:
        """The data sets in state "reading", oldest first: whoever read them may have died."""
        query = (
            select(col(Dataset.id)).where(col(Dataset.state) == "reading").order_by(col(Dataset.created_at))
        )
        with self._database.read() as session:
            return list(session.execute(query).scalars())

    def reread(self, dataset_id: str, options: ReadOptions) -> None:
        """Puts the data set back to "reading" with other options; the caller then calls `read`.

        Versions that steps made are forgotten. Raises NotFound, Invalid (options), Conflict while it is read, when a run
        uses it, while such a version is the current one, and while there are edits that are not saved.
        """
        options.checked()
        with self._database.read() as session:
            _require_read(known(session, dataset_id))  # who reads has the lock for long
        with changing(self._files.dataset(dataset_id)), self._database.write() as session:
            dataset = known(session, dataset_id)
            _require_read(dataset)
            journal.require_none(session, self._files, dataset)
            if dataset.version != 1:
                raise Conflict(
                    f"{dataset.name} was changed since it was read: undo the steps first (reading again forgets them), "
                    "or upload the file once more."
                )
            users = _users(session, dataset_id)
            if users:
                raise Conflict(
                    f"{_named(users)} {'uses' if len(users) == 1 else 'use'} {dataset.name} as it was read. "
                    "Upload the file once more to read it in another way."
                )
            asked = options.over(ReadOptions.from_dict((dataset.options or {}).get("asked")))
            dataset.state, dataset.error, dataset.bytes_read = "reading", None, 0
            dataset.options = {"asked": asked.as_dict()}
            session.execute(delete(DatasetVersion).where(col(DatasetVersion.dataset_id) == dataset_id))

    def sweep(self) -> int:
        """Removes the folders of uploads whose process died, an hour old or more; returns how many."""
        root = self._files.root / "datasets"
        if not root.is_dir():
            return 0
        with self._database.read() as session:
            known = set(session.execute(select(col(Dataset.id))).scalars())
        removed = 0
        for folder in root.iterdir():
            if not ID_PATTERN.match(folder.name) or folder.name in known or is_alive(folder / "v1"):
                continue
            if self._clock() - folder.stat().st_mtime > _ORPHAN_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # -- looking --------------------------------------------------------------------------------------------

    def view(self, dataset_id: str) -> dict[str, Any]:
        """The data set with its profile and problems, as the JSON API shows it. Raises NotFound."""
        with self._database.read() as session:
            dataset = known(session, dataset_id)
            version = session.get(DatasetVersion, (dataset_id, dataset.version))
        profile, problems = None, errors_of(dataset)
        if dataset.state == "ready":
            try:
                profile = read_json(self._files.version(dataset_id, dataset.version) / PROFILE_FILE)
                problems = profile.pop("problems")
            except FileNotFoundError:
                pass  # deleted, or read again, since the row was looked at
        return {**summary(dataset, version), "profile": profile, "problems": problems}

    def views(self) -> list[dict[str, Any]]:
        """All data sets, newest first, without profile and problems."""
        query = (
            select(Dataset, DatasetVersion)
            .outerjoin(
                DatasetVersion,
                (col(DatasetVersion.dataset_id) == col(Dataset.id))
                & (col(DatasetVersion.version) == col(Dataset.version)),
            )
            .order_by(col(Dataset.created_at).desc(), col(Dataset.id))
        )
        with self._database.read() as session:
            return [summary(dataset, version) for dataset, version in session.execute(query).all()]

    def encodings(self, dataset_id: str) -> tuple[list[int], list[Reading]]:
        """See `encoding_preview.readings`; of the original. Raises NotFound, Conflict while it is read."""
        with self._database.read() as session:
            dataset = known(session, dataset_id)
        _require_read(dataset)
        with still_there(dataset_id):
            return readings(
                self._files.version(dataset_id, 1) / ORIGINAL, (dataset.options or {}).get("encoding")
            )

    def require_ready(self, dataset_id: str) -> None:
        """Raises NotFound; Conflict unless the data set is ready."""
        self._version(dataset_id, None)

    def rows(self, dataset_id: str, offset: int, limit: int, version: int | None = None) -> dict[str, Any]:
        """A page of at most MAX_PAGE rows. Raises NotFound; Conflict unless the data set is ready."""
        found = self._version(dataset_id, version)
        offset, limit = max(0, offset), max(0, min(limit, MAX_PAGE))
        folder = self._files.version(dataset_id, found.version)
        with still_there(dataset_id):
            items = parquet.read_page(folder, offset, limit)
        return {"offset": offset, "rows": found.rows, "columns": found.columns, "items": items}

    def table(self, dataset_id: str, version: int, columns: Sequence[str]) -> "pyarrow.Table":
        """`__row_id` (int64) and the named columns (string), all rows.

        Raises NotFound, Conflict, and Invalid for a column that is not there.
        """
        found = self._version(dataset_id, version)
        problems = [
            Finding(
                where=name, message=f"is no column; there are: {', '.join(found.columns)}", severity="error"
            )
            for name in columns
            if name not in found.columns
        ]
        if problems:
            raise Invalid.from_problems("The data set has no such column", list(problems))
        with still_there(dataset_id):
            return parquet.read_columns(self._files.version(dataset_id, version), columns)

    # -- going ----------------------------------------------------------------------------------------------

    def delete(self, dataset_id: str) -> int:
        """Deletes the data set with all its files; returns the freed bytes.

        Raises NotFound, and Conflict if a run uses it.
        """
        with self._database.write() as session:
            dataset = known(session, dataset_id)
            users = _users(session, dataset_id)
            if users:
                raise Conflict(
                    f"{_named(users)} {'uses' if len(users) == 1 else 'use'} {dataset.name}: "
                    f"delete {'that run' if len(users) == 1 else 'those runs'} first."
                )
            session.delete(dataset)
        folder = self._files.dataset(dataset_id)
        freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        return freed

    # -- inside ---------------------------------------------------------------------------------------------

    def _version(self, dataset_id: str, version: int | None) -> DatasetVersion:
        with self._database.read() as session:
            return runs.version_of(session, dataset_id, version)


def _require_read(dataset: Dataset) -> None:
    if dataset.state == "reading":
        raise Conflict(f"{dataset.name} is still being read; try again in a moment.")


def _users(session: Session, dataset_id: str) -> list[str]:
    query = select(col(Run.name)).where(col(Run.dataset_id) == dataset_id).order_by(col(Run.created_at))
    return list(session.execute(query).scalars())


def _named(users: Sequence[str]) -> str:
    if len(users) == 1:
        return f"The run {users[0]!r}"
    more = f" and {len(users) - 5} more" if len(users) > 5 else ""
    return f"The runs {', '.join(map(repr, users[:5]))}{more}"
