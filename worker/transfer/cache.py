"""Arrays that may be computed again at any time, kept on disk up to a limit, for this run and for later ones.

    KEY.f32    float32, as it lies in memory, for it is read by mapping
    KEY.json   its shape, its size, a checksum; written last, so what has no manifest was never finished

A file is written aside, in full and synced before it is renamed. Whoever reads one holds a shared lock on it, so that a process
that needs room takes others: those that nobody has used for longest first.
"""

import fcntl
import math
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from app.core.files import RESERVE, read_json, write_json

Floats = npt.NDArray[np.float32]
Shape = tuple[int, int]

VERSION = 1
PIECES, PIECE = (
    64,
    1 << 16,
)  # of a file, evenly spaced, that its checksum looks at: all of it would cost as much as reading it


class Cache:
    """The arrays in `folder`, of which all together take at most `limit` bytes; 0: none is kept or read.

    A context manager: what was opened stays locked until it is left.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self.limit = folder, limit
        self._held = ExitStack()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def find(self, key: str, shape: Shape) -> Floats | None:
        """The array of `key`, read-only and mapped, or None: there is none, or it is damaged (and then removed)."""
        if self.limit <= 0:
            return None
        path, manifest = self._paths(key)
        with ExitStack() as locks:
            try:
                file = locks.enter_context(path.open("rb"))
                fcntl.flock(file, fcntl.LOCK_SH)
                known = read_json(manifest)
                array = _mapped(file, shape)
            except FileNotFoundError:
                return None
            except (OSError, ValueError):
                known = None
            if known is None or known != _manifest(array):
                _remove(path, manifest)
                return None
            os.utime(manifest)
            self._held.push(locks.pop_all())
        return array

    def make_room(self, needed: int) -> bool:
        """Whether `needed` bytes fit, after the arrays that nobody uses or has used for longest are removed for them."""
        if needed > self.limit:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        files = {path: path.stat() for path in self.folder.iterdir() if path.suffix in (".f32", ".part")}
        disk = os.statvfs(self.folder)
        over = max(
            sum(stat.st_size for stat in files.values()) + needed - self.limit,
            needed + RESERVE - disk.f_bavail * disk.f_frsize,
        )
        with ExitStack() as locks:
            leaving = []
            for path in sorted((path for path in files if path.suffix == ".f32"), key=_used):
                if over <= 0:
                    break
                if _locked(path, locks) is not None:
                    leaving.append(path)
                    over -= files[path].st_size
            if over > 0:  # not even then: so they may stay
                return False
            for path in leaving:
                _remove(path, path.with_suffix(".json"))
        return True

    @contextmanager
    def draft(self, key: str, shape: Shape) -> Iterator[Floats]:
        """An array to be filled, which is kept as that of `key` if nothing is raised; it can be read on afterwards.

        Raises OSError where the disk is too small, before there is an array: to a mapped file without room behind it one
        can't write without being killed.
        """
        path, manifest = self._paths(key)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{key}.{secrets.token_hex(4)}.part"
        with ExitStack() as locks:
            file = locks.enter_context(part.open("x+b"))
            locks.callback(part.unlink, missing_ok=True)
            fcntl.flock(file, fcntl.LOCK_EX)
            os.posix_fallocate(file.fileno(), 0, _size(shape))
            array = np.memmap(file, np.float32, "r+", shape=shape)
            yield array
            array.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
            write_json(manifest, _manifest(array))
            fcntl.flock(file, fcntl.LOCK_SH)
            self._held.push(locks.pop_all())

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.f32", self.folder / f"{key}.json"

    def _sweep(self) -> None:
        """Removes what killed processes have left behind."""
        for path in self.folder.iterdir():
            orphan = path.suffix == ".f32" and not path.with_suffix(".json").exists()
            if path.suffix == ".part" or orphan:
                with ExitStack() as locks:
                    if _locked(path, locks) is not None:
                        path.unlink(missing_ok=True)


def _locked(path: Path, locks: ExitStack) -> BinaryIO | None:
    """`path`, locked for us alone; None while somebody uses it or if it is gone."""
    try:
        file = locks.enter_context(path.open("rb"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return file


def _used(path: Path) -> float:
    """When it was used last."""
    try:
        return path.with_suffix(".json").stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path, manifest: Path) -> None:
    manifest.unlink(missing_ok=True)  # first: without it the rest counts as unfinished
    path.unlink(missing_ok=True)


def _mapped(file: BinaryIO, shape: Shape) -> Floats:
    """Raises ValueError if the file has not the size for `shape`."""
    if os.fstat(file.fileno()).st_size != _size(shape):
        raise ValueError("of another size")
    return np.memmap(file, np.float32, "r", shape=shape)


def _size(shape: Shape) -> int:
    return math.prod(shape) * np.dtype(np.float32).itemsize


def _manifest(array: Floats) -> dict[str, object]:
    flat = array.reshape(-1).view(np.uint8)
    sum_ = 0
    for at in np.linspace(0, max(0, len(flat) - PIECE), PIECES).astype(np.int64).tolist():
        sum_ = zlib.crc32(flat[at : at + PIECE].tobytes(), sum_)
    return {"version": VERSION, "shape": list(array.shape), "bytes": len(flat), "crc32": sum_}
