"""`headstart restore FILE --home DIR`: a backup becomes a data folder again, checked by its manifest."""

import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

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
from app.core import attempts
from app.core.archive import zip_folder
from app.core.db import Database
from app.core.errors import Invalid
from app.core.files import new_id, sync
from app.core.migrate import migrate
from app.core.tables import Run

ROOMS = ("datasets", "runs")


@dataclass(frozen=True)
class Restored:
    """`waiting`: the runs that go on when a worker is there."""

    home: Path
    bytes: int
    waiting: int


def restore(file: Path, home: Path, tell: Tell = lambda _done, _all: None) -> Restored:
    """Unpacks `file` aside, checks it, brings its database to the newest schema, and gives the folder its name.

    Raises Invalid (no backup, damaged, `home` is not empty), NoSpace, HeadstartError. Then nothing is left of it.
    """
    home = home.expanduser().absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Invalid(
            f"{home} is not an empty folder, and a restore overwrites nothing: give another --home."
        )
    part = home.with_name(f".{home.name}.{new_id()}.part")
    try:
        with disk_in_words(home.parent, "restore", f"{file} can't be restored to {home}"):
            home.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir(mode=0o700)
            manifest = _unpack(file, part, tell)
            for name in manifest["rebuilt"]:
                path = part / _safe(name)
                zip_folder(path.with_name(ZIPS[path.name]), path)
            waiting = _settle(part / DATABASE)
            for path in part.rglob("*"):
                sync(path)
            os.rename(part, home)  # noqa: PTH104 (over an empty folder, if there is one)
            sync(home.parent)
            return Restored(home, sum(told["bytes"] for told in manifest["files"].values()), waiting)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack(file: Path, folder: Path, tell: Tell) -> dict[str, Any]:
    """All files of the backup below `folder`; returns the manifest, which they fit."""
    found: dict[str, dict[str, Any]] = {}
    with _damage_in_words(file), tarfile.open(file, "r:") as tar:
        head = _head(file, tar)
        total = int(head["bytes"])
        require_room(folder.parent, total, "the backup unpacks to", "give another --home")
        done = 0
        while (member := tar.next()) is not None:
            if member.name == LAST:
                manifest: dict[str, Any] = json.loads(_content(tar, member))
                break
            path = folder / _safe(member.name)
            found[member.name] = _extract(tar, member, path, partial(_tell_at, tell, done, total))
            done += member.size
        else:
            raise Invalid(
                f"{file} was cut off: its manifest, which comes last, is missing. Use another backup."
            )
        if odd := sorted(_odd(found, manifest["files"])):
            more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
            raise Invalid(
                f"{file} is damaged: {odd[0]}{more} is not as it was backed up. Use another backup."
            )
    return manifest


def _tell_at(tell: Tell, before: int, total: int, count: int) -> None:
    tell(before + count, total)


def _odd(found: dict[str, Any], told: dict[str, Any]) -> list[str]:
    return [name for name in found.keys() | told.keys() if found.get(name) != told.get(name)]


def _head(file: Path, tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    if first is None or first.name != FIRST:
        raise Invalid(f"{file} is no backup of Headstart: `headstart backup FILE` makes one.")
    head: dict[str, Any] = json.loads(_content(tar, first))
    if head["format"] != FORMAT:
        raise Invalid(
            f"{file} was made by a newer Headstart (format {head['format']}): restore it with that."
        )
    return head


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    return b"" if source is None else source.read()


def _extract(
    tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, tell: Callable[[int], None]
) -> dict[str, Any]:
    """What the manifest must say of it."""
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise Invalid(
            f"The backup holds {member.name!r}, which is no plain file: it was not made by Headstart."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = Hashed(source, tell)
    with path.open("xb") as sink:
        shutil.copyfileobj(reader, sink, CHUNK)
    os.utime(path, (member.mtime, member.mtime))
    return reader.told()


def _safe(name: str) -> Path:
    """A name in the tar as a path that stays in the folder."""
    parts = PurePosixPath(name).parts
    if name != DATABASE and (len(parts) < 2 or parts[0] not in ROOMS or ".." in parts):
        raise Invalid(f"The backup holds {name!r}, which no backup of Headstart has: nothing was restored.")
    return Path(*parts)


def _settle(path: Path) -> int:
    """Checks and migrates the database, and queues what was running; returns how many runs wait."""
    with closing(sqlite3.connect(path)) as connection:
        fault = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if fault != "ok":
        raise Invalid(f"The database in the backup is damaged ({fault}). Use another backup.")
    database = Database(f"sqlite:///{path}")
    try:
        migrate(database)
        with database.write() as session:
            # Whoever had these leases works on another folder: they have run out here.
            leases = select(func.max(col(Run.lease_until))).where(col(Run.state) == "running")
            last = session.execute(leases).scalar() or 0.0
            return len(attempts.reconcile(session, max(time.time(), last + 0.001)))
    finally:
        database.close()


@contextmanager
def _damage_in_words(file: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.ReadError as error:
        raise Invalid(
            f"{file} is no backup of Headstart, or it was cut off ({error}). Use another backup."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"{file} is damaged ({type(error).__name__}: {error}). Use another backup.") from error
