"""What the backup and the restore have in common: the parts of the tar, their checksums, and the words for a disk that fails.

headstart-backup.json    the format, first
headstart.db             a consistent copy (SQLite's online backup)
datasets/… runs/…        what that copy names
manifest.json            size and SHA-256 of each of them, last: a backup without it was cut off
"""

import errno
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from app.core.errors import HeadstartError, NoSpace
from app.core.files import RESERVE, megabytes

FORMAT = 1
FIRST, LAST, DATABASE = "headstart-backup.json", "manifest.json", "headstart.db"
# A zip and the folder that it is made of: the folder is enough.
ZIPS = {"checkpoint.zip": "model", "adapter.zip": "adapter"}
CHUNK = 2**20
Tell = Callable[[int, int], None]  # bytes done, bytes in all


class Hashed(io.RawIOBase):
    """A file that is read once: notes size and SHA-256 of what was read, and tells how many bytes it was so far."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        self._file, self._tell = file, tell
        self._hash, self._count = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._hash.update(chunk)
        self._count += len(chunk)
        self._tell(self._count)
        return chunk

    def told(self) -> dict[str, Any]:
        """Its entry in the manifest."""
        return {"bytes": self._count, "sha256": self._hash.hexdigest()}


def require_room(folder: Path, needed: int, what: str, instead: str) -> None:
    """`what`: "the backup needs"; `instead`: what else one could do. Raises NoSpace."""
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise NoSpace(
            f"Too little disk: {what} {megabytes(needed + RESERVE)} and {megabytes(free)} are free in {folder}. "
            f"Free some space, or {instead}."
        )


@contextmanager
def disk_in_words(folder: Path, what: str, failed: str) -> Iterator[None]:
    """`what` nothing is left of where the disk of `folder` runs full; `failed`: the beginning of a sentence. Raises NoSpace, HeadstartError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(
                f"The disk of {folder} ran full; nothing is left of the {what}. Free some space."
            ) from error
        raise HeadstartError(f"{failed}: {error.strerror or error} ({error.filename}).") from error
