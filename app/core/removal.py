"""Deleting a run with its files, so that a process that dies in between leaves nothing behind.

    a mark beside the folder ▸ the record goes (commit) ▸ the folder goes ▸ the mark goes

A mark without a record is what a deletion left that was cut off: `sweep` finishes it. One with a record was cut off earlier, and
the run stays. A folder without a record and without a mark is nobody's to remove: the database may be another one.
"""

import contextlib
import shutil
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from app.core import runs
from app.core.db import Database
from app.core.files import Files, folder_bytes
from app.core.tables import Run

SUFFIX = ".deleted"


def remove_run(database: Database, files: Files, run_id: str) -> int:
    """Deletes a run that is over with its curves and files; returns the bytes freed. Raises NotFound, Conflict."""
    folder = files.run(run_id)
    mark = folder.with_name(folder.name + SUFFIX)
    with database.write() as session:
        runs.remove(session, run_id)
        with contextlib.suppress(OSError):  # no run has begun yet, or a disk without a byte left
            mark.touch()
    # Only after the commit: a record without files would promise a download that is gone.
    freed = folder_bytes(folder)
    _clear(folder, mark)
    return freed


def sweep(database: Database, files: Files) -> int:
    """Finishes the deletions that were cut off; returns how many. Called before anybody can delete a run."""
    marks = list((files.root / "runs").glob(f"*{SUFFIX}"))
    if not marks:
        return 0
    with database.read() as session:
        known = set(session.execute(select(col(Run.id))).scalars())
    cut_off = 0
    for mark in marks:
        if mark.stem in known:
            mark.unlink()
        else:
            _clear(mark.with_suffix(""), mark)
            cut_off += 1
    return cut_off


def _clear(folder: Path, mark: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        mark.unlink(missing_ok=True)
