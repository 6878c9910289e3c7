"""A file on its way in: streamed to `.part`, and given its name only when all of it is on the disk."""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Invalid, NoSpace
from app.core.files import RESERVE, Files, megabytes, new_id
from app.core.tables import Dataset
from app.datasets.options import ReadOptions

ORIGINAL = "original"
PART = "original.part"
_BUFFER = 2**20
_LOOK_AT_DISK_EVERY = 64 * 2**20


class Incoming:
    """A file that comes into `folder`, which is new. End it with `commit` or `abort`.

    The open file carries a lock all the time: that is how a living upload is told from a dead one.
    """

    def __init__(self, files: Files, folder: Path, name: str) -> None:
        self.bytes = 0
        self._files, self._folder, self._name = files, folder, name
        self._looked = 0
        folder.mkdir(parents=True)
        self._part = folder / PART
        self._file = self._part.open("wb", buffering=_BUFFER)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def write(self, chunk: bytes) -> None:
        """Raises NoSpace, after removing everything, when the disk runs full."""
        try:
            self._file.write(chunk)
        except OSError as error:
            self._full(error)
        self.bytes += len(chunk)
        if self.bytes - self._looked >= _LOOK_AT_DISK_EVERY:
            self._looked = self.bytes
            if self._files.free_bytes() < RESERVE:
                self._full(OSError(errno.ENOSPC, "reserve reached"))

    def commit(self) -> None:
        """Makes the file durable and known. Raises Invalid if it is empty."""
        if self.bytes == 0:
            self.abort()
            raise Invalid(f"{self._name} is empty: there is nothing in it. Choose a file with rows.")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._full(error)
        os.replace(self._part, self._part.with_name(ORIGINAL))
        for folder in (self._folder, self._folder.parent, self._folder.parent.parent):
            sync_folder(folder)
        self._known()
        self._file.close()

    def abort(self) -> None:
        """Removes everything. Does no harm after an error."""
        shutil.rmtree(self._whole, ignore_errors=True)
        with contextlib.suppress(OSError):  # its last buffer may not fit on the disk, and is not wanted
            self._file.close()

    @property
    def _whole(self) -> Path:
        """What an abort removes."""
        return self._folder

    def _known(self) -> None:
        """Called when the file is durable: writes its record."""

    def _full(self, error: OSError) -> None:
        self.abort()
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        raise NoSpace(
            f"The disk ran full while {self._name} came in ({megabytes(self.bytes)} so far). "
            f"Free some space in {self._files.root} and try again."
        ) from error


class Upload(Incoming):
    """A data set that comes in. A process that dies leaves a folder that `sweep` removes."""

    def __init__(self, database: Database, files: Files, name: str, clock: Clock = time.time) -> None:
        self.id = new_id()
        self._database, self._clock = database, clock
        super().__init__(files, files.version(self.id, 1), name)

    @property
    def _whole(self) -> Path:
        return self._files.dataset(self.id)

    def _known(self) -> None:
        dataset = Dataset(
            id=self.id,
            name=self._name,
            bytes=self.bytes,
            created_at=self._clock(),
            options={"asked": ReadOptions().as_dict()},
        )
        with self._database.write() as session:
            session.add(dataset)


def label(name: str) -> str:
    """The name to show: one line of at most 200 characters. Raises Invalid for a blank name."""
    if not name.strip():
        raise Invalid("The file needs a name, for example reviews.csv.")
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:200]
    return shown or "file"  # of characters that can't be shown


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new file in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(folder: Path) -> bool:
    """Whether an upload is still writing into this folder."""
    for name in (PART, ORIGINAL):
        try:
            with (folder / name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            continue
        except BlockingIOError:
            return True
    return False
