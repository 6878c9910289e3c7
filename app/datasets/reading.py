"""From an original to rows: one reader at a time, whatever happens ends in state "ready" or "failed".

With app.datasets.store and app.datasets.versions the only place that writes the tables dataset and dataset_version.
"""

import errno
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from app.core import runs
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.files import Files, read_json
from app.core.tables import Dataset, DatasetVersion
from app.datasets import remote
from app.datasets.ingest import Ingested, ingest
from app.datasets.journal import EDITS_FILE
from app.datasets.locks import changing
from app.datasets.options import ReadOptions
from app.datasets.upload import ORIGINAL, PART, label

SOURCE = "source.json"  # where the original comes from, of one that is fetched
_TELL_EVERY = 8 * 2**20
_TELL_SECONDS = 0.5
_log = logging.getLogger(__name__)


class _Gone(Exception):
    """The data set was deleted while it was read."""


class OriginalReader:
    """Safe to share between threads, and between processes on one data folder."""

    def __init__(self, database: Database, files: Files, clock: Clock = time.time) -> None:
        self._database, self._files, self._clock = database, files, clock

    def read(self, dataset_id: str) -> None:
        """Reads the original into rows: blocks until the state is ready or failed.

        Does nothing for a data set that is not in state "reading"; a second caller waits for the first.
        """
        with self._reading(dataset_id) as dataset:
            if dataset is not None:
                self._read(dataset)

    def is_to_fetch(self, dataset_id: str) -> bool:
        """Whether `read` will fetch the file first."""
        folder = self._files.version(dataset_id, 1)
        return (folder / SOURCE).exists() and not (folder / ORIGINAL).exists()

    # -- inside ---------------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, dataset_id: str) -> Iterator[Dataset | None]:
        """The data set if it is to be read, under a lock that one reader holds at a time."""
        with self._database.read() as session:
            known = session.get(Dataset, dataset_id) is not None
        folder = self._files.dataset(dataset_id) if known else None
        if folder is None or not folder.is_dir():
            yield None
            return
        with changing(folder):
            with self._database.read() as session:
                dataset = session.get(Dataset, dataset_id)
            yield dataset if dataset is not None and dataset.state == "reading" else None

    def _read(self, dataset: Dataset) -> None:
        folder = self._files.version(dataset.id, dataset.version)
        # Parts given to rows that are about to be read anew, versions made of them, and edits that were saved or discarded, mean nothing any more.
        for old in ("splits", "marks", *(f"v{one}" for one in self._numbers(dataset.id) if one != 1)):
            shutil.rmtree(self._files.dataset(dataset.id) / old, ignore_errors=True)
        (self._files.dataset(dataset.id) / EDITS_FILE).unlink(missing_ok=True)
        options = ReadOptions.from_dict((dataset.options or {}).get("asked"))
        try:
            if self.is_to_fetch(dataset.id):
                dataset = self._fetched(dataset, folder)
            self._files.require_free(dataset.bytes, f"reading {dataset.name}")
            found = ingest(folder / ORIGINAL, folder, dataset.name, options, self._progress(dataset.id))
            self._succeed(dataset, found)
        except _Gone:
            shutil.rmtree(self._files.dataset(dataset.id), ignore_errors=True)
        except HeadstartError as error:
            self._fail(dataset.id, error)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                what = f"The disk ran full while {dataset.name} was read. Free some space and read the file again."
                self._fail(dataset.id, HeadstartError(what, kind="disk"))
            else:
                self._fail(dataset.id, _bug(dataset, error), traceback=traceback.format_exc()[-8000:])
        except Exception as error:
            self._fail(dataset.id, _bug(dataset, error), traceback=traceback.format_exc()[-8000:])

    def _numbers(self, dataset_id: str) -> list[int]:
        folders = self._files.dataset(dataset_id).glob("v*")
        return [int(folder.name[1:]) for folder in folders if folder.name[1:].isdecimal()]

    def _fetched(self, dataset: Dataset, folder: Path) -> Dataset:
        """The data set with its original, which comes from where SOURCE says."""
        source, part, at = read_json(folder / SOURCE), folder / PART, time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal at
            if time.monotonic() - at >= _TELL_SECONDS:
                at = time.monotonic()
                self._move(dataset.id, {"bytes_read": done, "bytes": max(done, total)})

        try:
            name = label(remote.fetch(source["url"], part, tell, source["private"]))
            size = part.stat().st_size
            os.replace(part, folder / ORIGINAL)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._move(dataset.id, {"name": name, "bytes": size, "bytes_read": 0})
        with self._database.read() as session:
            found = session.get(Dataset, dataset.id)
        if found is None:
            raise _Gone
        return found

    def _progress(self, dataset_id: str) -> Any:
        told, at = 0, time.monotonic()

        def tell(bytes_read: int) -> None:
            nonlocal told, at
            # By time too: a packed file of a megabyte may hold a gigabyte, and has to notice that it was deleted.
            if bytes_read - told >= _TELL_EVERY or time.monotonic() - at >= _TELL_SECONDS:
                told, at = bytes_read, time.monotonic()
                self._move(dataset_id, {"bytes_read": bytes_read})

        return tell

    def _succeed(self, dataset: Dataset, found: Ingested) -> None:
        version = DatasetVersion(
            dataset_id=dataset.id,
            version=dataset.version,
            rows=found.rows,
            columns=found.columns,
            sha256=found.sha256,
            created_at=self._clock(),
        )
        ready = {"state": "ready", "bytes_read": dataset.bytes, "options": found.used, "error": None}
        self._move(dataset.id, ready, version)

    def _fail(self, dataset_id: str, error: HeadstartError, **more: str) -> None:
        try:
            self._move(dataset_id, {"state": "failed", "error": {**error.as_dict(), **more}})
        except _Gone:
            shutil.rmtree(self._files.dataset(dataset_id), ignore_errors=True)

    def _move(self, dataset_id: str, values: dict[str, Any], version: DatasetVersion | None = None) -> None:
        """Changes a data set that is being read. Raises _Gone if it was deleted."""
        reading = (col(Dataset.id) == dataset_id, col(Dataset.state) == "reading")
        with self._database.write() as session:
            if runs.rowcount(session.execute(update(Dataset).where(*reading).values(**values))) != 1:
                raise _Gone
            if version is not None:
                session.add(version)


def _bug(dataset: Dataset, error: Exception) -> HeadstartError:
    _log.error("reading data set %s failed", dataset.id, exc_info=error)
    return HeadstartError(
        f"{dataset.name} could not be read, and that is a fault of Headstart ({type(error).__name__}). "
        "The file is kept; the server's log says more."
    )
