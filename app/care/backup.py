"""`headstart backup FILE`: the database and the files that it names in one tar, made while everything runs.

For a moment the database is locked for writing. In it the files are linked into a folder aside, and the copy's view of the
database begins: so neither a deletion nor a newer checkpoint comes between the two. Everything slow happens afterwards.
A file that grows meanwhile (a log, edits that are not saved) may have lines in the backup that came a little later.
Left out: cache/, broker/, logs/, what is still being uploaded, and zips that are made of the folder beside them.
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.care.backup_format import (
    CHUNK,
    DATABASE,
    FIRST,
    FORMAT,
    LAST,
    ZIPS,
    Hashed,
    Tell,
    disk_in_words,
    require_room,
)
from app.core.clock import rfc3339
from app.core.db import Database
from app.core.errors import HeadstartError, Invalid, NotFound
from app.core.files import Files, new_id, sync
from app.core.migrate import revision
from app.core.settings import Settings

STAGING = ".backup-"
LOCK_SECONDS = 30.0


@dataclass
class Backup:
    """What was written. `missing`: what the database names and the disk does not have, one sentence each."""

    path: Path
    bytes: int = 0
    datasets: int = 0
    runs: int = 0
    missing: list[str] = field(default_factory=list)


def backup(settings: Settings, target: Path, tell: Tell = lambda _done, _all: None) -> Backup:
    """Writes `target`, which must not exist: aside, fsynced, renamed.

    Raises Invalid, NotFound (no data folder), NoSpace, HeadstartError.
    """
    database, files = Database(settings.database).path, Files(settings.files_root)
    target = target.absolute()
    if target.exists():
        raise Invalid(f"{target} exists already, and a backup overwrites nothing: give another name.")
    if not target.parent.is_dir():
        raise Invalid(f"There is no folder {target.parent}: create it, or give another name.")
    if not database.is_file():
        raise NotFound(f"There is no database {database}, so there is nothing to back up. Is --home right?")
    for left in left_behind(files.root):
        shutil.rmtree(left, ignore_errors=True)
    try:
        with (
            disk_in_words(target.parent, "backup", "The backup can't be written"),
            _staging(files.root) as staging,
        ):
            found = _Found()
            with _view(database) as view:
                found.gather(view, files, staging)
                view.copy_to(staging / DATABASE)
            return _write(staging, found, target, tell)
    except sqlite3.Error as error:
        raise HeadstartError(
            f"The database {database} can't be copied ({error}). `headstart doctor` says what is wrong with it."
        ) from error


def left_behind(root: Path) -> list[Path]:
    """Folders of links that a backup left when it was killed."""
    found = []
    for folder in root.glob(f"{STAGING}*"):
        with contextlib.suppress(OSError), (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(folder)
    return found


@dataclass
class _View:
    """The database as it is at one moment."""

    reader: sqlite3.Connection
    writer: sqlite3.Connection  # holds the lock

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.reader.execute(query).fetchall()

    def copy_to(self, path: Path) -> None:
        """Lets others write again, and copies what was there."""
        self.writer.execute("ROLLBACK")
        with closing(sqlite3.connect(path)) as copy:
            self.reader.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole in itself
        sync(path)


@contextmanager
def _view(database: Path) -> Iterator[_View]:
    """Nobody writes until `copy_to`. In WAL mode a reader keeps what it saw first, whatever is written later."""
    with (
        closing(sqlite3.connect(database, timeout=LOCK_SECONDS, isolation_level=None)) as writer,
        closing(sqlite3.connect(database, timeout=LOCK_SECONDS, isolation_level=None)) as reader,
    ):
        writer.execute("BEGIN IMMEDIATE")
        reader.execute("BEGIN")
        yield _View(reader, writer)


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """A folder beside datasets/ and runs/, so that links into it are possible."""
    folder = root / f"{STAGING}{new_id()}"
    folder.mkdir(mode=0o700)
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Found:
    """The files of a backup: name in it → where it lies meanwhile."""

    links: dict[str, Path] = field(default_factory=dict)
    rebuilt: list[str] = field(default_factory=list)
    rebuilt_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    datasets: int = 0
    runs: int = 0

    def gather(self, view: _View, files: Files, staging: Path) -> None:
        """Links what the database names. Plain SQL: the schema may be of any age."""
        for (dataset_id,) in view.all("SELECT id FROM dataset"):
            self.datasets += 1
            self._tree(files.root, files.dataset(dataset_id), staging)
        for dataset_id, version in view.all("SELECT dataset_id, version FROM dataset_version"):
            if self._lacks(files.root, files.version(dataset_id, version) / "rows.parquet"):
                self.missing.append(
                    f"The rows of version {version} of the data set {dataset_id} are missing."
                )
        for run_id, name, state in view.all("SELECT id, name, state FROM run"):
            self.runs += 1
            self._run(files, run_id, staging)
            if state == "succeeded" and self._lacks(files.root, files.model(run_id) / "config.json"):
                self.missing.append(f"The model of the run {name!r} ({run_id}) is missing.")

    def _lacks(self, root: Path, path: Path) -> bool:
        return path.relative_to(root).as_posix() not in self.links

    def _run(self, files: Files, run_id: str, staging: Path) -> None:
        folder = files.run(run_id)
        for name, source in ZIPS.items():
            if (folder / name).is_file() and (folder / source).is_dir():
                self.rebuilt.append((folder / name).relative_to(files.root).as_posix())
                self.rebuilt_bytes += (folder / name).stat().st_size
        for path in _listed(folder):
            if path.name in ZIPS and (folder / ZIPS[path.name]).is_dir():
                continue
            if path.name == "checkpoints" and path.is_dir():
                self._checkpoints(files.root, path, staging)
            else:
                self._tree(files.root, path, staging)

    def _checkpoints(self, root: Path, folder: Path, staging: Path) -> None:
        """The newest ones; a trainer may be replacing them at this moment."""
        for _ in range(20):
            whole = [one for one in _listed(folder) if self._tree(root, one, staging)]
            if whole or not _listed(folder):
                return

    def _tree(self, root: Path, path: Path, staging: Path) -> bool:
        """Links a file or all files of a folder; False, and nothing of it, if something kept vanishing meanwhile."""
        for _ in range(3):
            linked: dict[str, Path] = {}
            try:
                for file in _files(path):
                    name = file.relative_to(root).as_posix()
                    linked[name] = staging / name
                    _link(file, staging / name)
            except FileNotFoundError:
                continue
            self.links |= linked
            return bool(linked)
        return False


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _files(path: Path) -> Iterator[Path]:
    """What is worth keeping. Not: locks, what is being written, and the best weights of an attempt, which a later one
    takes from its checkpoint."""
    if path.name == "lock" or path.name.endswith(".part") or path.is_symlink():
        return
    if path.is_dir():
        for one in sorted(path.iterdir()):
            yield from _files(one)
    elif not (path.parent.name.startswith("attempt-") and path.name.startswith("best.")):
        yield path


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(file, target)


def _write(staging: Path, found: _Found, target: Path, tell: Tell) -> Backup:
    members = {DATABASE: staging / DATABASE, **dict(sorted(found.links.items()))}
    total = sum(path.stat().st_size for path in members.values())
    require_room(target.parent, total, "the backup needs", "write it elsewhere")
    head = {"format": FORMAT, "bytes": total + found.rebuilt_bytes, "created_at": rfc3339(time.time())}
    part = target.with_name(f".{target.name}.{new_id()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123
            with tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, copybufsize=CHUNK) as tar:
                _add_json(tar, FIRST, head)
                told = _add_all(tar, members, total, tell)
                schema = revision(staging / DATABASE)
                _add_json(tar, LAST, {**head, "schema": schema, "rebuilt": found.rebuilt, "files": told})
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            raise Invalid(f"{target} has come meanwhile, and a backup overwrites nothing: give another name.")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    sync(target.parent)
    return Backup(target, target.stat().st_size, found.datasets, found.runs, found.missing)


def _add_all(tar: tarfile.TarFile, members: dict[str, Path], total: int, tell: Tell) -> dict[str, Any]:
    told, done = {}, 0
    for name, path in members.items():
        with path.open("rb") as file:
            info = tarfile.TarInfo(name)
            # A log may grow while it is read: what came later is left out.
            info.size, info.mtime, info.mode = os.fstat(file.fileno()).st_size, path.stat().st_mtime, 0o600
            before = done
            reader = Hashed(file, lambda count, before=before: tell(before + count, total))  # type: ignore[misc]
            tar.addfile(info, reader)
        done += info.size
        told[name] = reader.told()
    return told


def _add_json(tar: tarfile.TarFile, name: str, value: dict[str, Any]) -> None:
    content = json.dumps(value, ensure_ascii=False, indent=1).encode()
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(content), int(time.time()), 0o600
    tar.addfile(info, io.BytesIO(content))
