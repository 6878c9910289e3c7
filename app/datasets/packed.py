"""What a file is packed in: gzip, bzip2, xz, or a zip of one file, or of several that are called train, validation and test.

What is inside is written to the disk beside the original while it is read, because every reader needs it more than once
and some jump about in it. Nothing that a packed file says of its own size is believed.
"""

import bz2
import errno
import gzip
import lzma
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from app.core.errors import Invalid
from app.core.files import RESERVE, megabytes
from app.datasets import signatures
from app.datasets.parts import PARTS, part_of

UNPACKED = ".unpacked"
# Text packs to a third, logs of one line again and again to a hundredth; a bomb to a thousandth.
MAX_RATIO = 200
_SURELY_SMALL = 256 * 2**20
MAX_UNPACKED = 64 * 2**30
MAX_MEMBERS = 10_000
MAX_DIRECTORY = 4 * 2**20
_CHUNK = 2**20
_LOOK_AT_DISK_EVERY = 64 * 2**20
# Of the whole work; the rest is reading.
_SHARE = 0.2
_WORKBOOK = "xl/workbook.xml"
_DOCUMENTS = (
    ("word/document.xml", "is a Word document"),
    ("ppt/presentation.xml", "is a PowerPoint presentation"),
    ("xl/workbook.bin", "is a binary Excel workbook (.xlsb)"),
)
_ABOUT = re.compile(r"(?:readme|licen[cs]e|citation)(?:\.\w+)?|.+\.md", re.IGNORECASE)
_TOO_MANY = f"The zip file has more than {MAX_MEMBERS:,} files inside. Headstart reads one, or train, validation and test."
_SAVE = "Save its table as .xlsx or as CSV (UTF-8) and upload that."
# What zipfile and gzip raise for bytes that make no sense; an OSError may be the disk as well.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)

# liblzma takes as much memory as the file asks for, up to 4 GB: what `xz -9` asks for is enough.
_XZ_MEMORY = 80 * 2**20

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Member:
    """A file to read: the original, or one that was in it. `part`: train, validation or test, where there are several."""

    path: Path
    name: str
    part: str | None = None


@contextmanager
def unpacked(
    original: Path, name: str, folder: Path, progress: Progress
) -> Iterator[tuple[list[Member], Progress]]:
    """The files to read, and the progress to tell while they are read, in bytes of theirs.

    What was unpacked lies in `folder` until the block ends. Raises Invalid for a damaged file, a bomb, and for a zip
    in which it is not clear what to read.
    """
    kind = signatures.kind_of(_head(original))
    if kind not in (*_STREAMS, "zip") or (kind == "zip" and is_workbook(original)):
        yield [Member(original, name)], progress
        return
    unpacker = _Unpacker(original, folder, progress)
    try:
        members = unpacker.of_zip(name) if kind == "zip" else unpacker.of_stream(str(kind), name)
        yield members, unpacker.rest(progress)
    finally:
        for number in range(len(PARTS)):
            _place(folder, number).unlink(missing_ok=True)


def is_workbook(path: Path) -> bool:
    """Whether a zip is an .xlsx. Raises Invalid for one with an endless list of files."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
            return _WORKBOOK in archive.namelist()
    except _BROKEN:
        return False


def unpacked_size(path: Path) -> int:
    """How many bytes the members of a zip say they have, which zipfile holds them to; 0 for a damaged one."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
            return sum(info.file_size for info in archive.infolist())
    except _BROKEN:
        return 0


class _Bounded:
    """A zip file whose list of files is refused if it is long: zipfile reads it whole before anybody can count."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:  # without a size it reads the last 64 KB of a file
            raise Invalid(_TOO_MANY, kind="file")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Unpacker:
    def __init__(self, original: Path, folder: Path, progress: Progress) -> None:
        self._original, self._folder, self._progress = original, folder, progress
        self._packed = original.stat().st_size
        self._total = 0

    def rest(self, progress: Progress) -> Progress:
        """Turns bytes of the files into bytes of the original."""
        begun = int(_SHARE * self._packed)
        return lambda done: progress(begun + int(done * (self._packed - begun) / max(1, self._total)))

    def of_stream(self, kind: str, name: str) -> list[Member]:
        ending, chunks = _STREAMS[kind]
        inner = re.sub(ending, "", name.strip(), flags=re.IGNORECASE)
        with self._original.open("rb") as file:
            try:
                self._copy(chunks(file), 0, inner, file.tell)
            except _BROKEN as error:
                raise _damaged(f"{kind} file", error) from error
        return [self._member(0, inner, None)]

    def of_zip(self, name: str) -> list[Member]:
        try:
            with self._original.open("rb") as file, zipfile.ZipFile(_Bounded(file)) as archive:
                chosen = _choose(archive, name)
                for number, (info, _) in enumerate(chosen):
                    with archive.open(info) as stream:
                        self._copy(_read(stream), number, info.filename, file.tell)
        except _BROKEN as error:
            raise _damaged("zip file", error) from error
        return [self._member(number, info.filename, part) for number, (info, part) in enumerate(chosen)]

    def _member(self, number: int, name: str, part: str | None) -> Member:
        path = _place(self._folder, number)
        head = _head(path)
        if not head:
            raise Invalid(f"{_base(name)} inside the packed file is empty.", kind="file")
        kind = signatures.kind_of(head)
        if kind in _STREAMS or (kind == "zip" and not is_workbook(path)):
            raise Invalid(
                f"{_base(name)} inside the packed file is packed once more. Unpack it and upload what is inside.",
                kind="file",
            )
        return Member(path, _base(name), part)

    def _copy(self, chunks: Iterator[bytes], number: int, name: str, position: Callable[[], int]) -> None:
        most = max(_SURELY_SMALL, MAX_RATIO * self._packed)
        with _place(self._folder, number).open("wb") as sink:
            for chunk in chunks:
                self._total += len(chunk)
                if self._total > min(most, MAX_UNPACKED):
                    raise Invalid(
                        f"{_base(name)} grows to more than {megabytes(min(most, MAX_UNPACKED))} when it is unpacked, and "
                        f"the packed file has {megabytes(self._packed)}: no text packs that well. Unpack it yourself "
                        "and upload what you need of it.",
                        kind="file",
                    )
                looks = self._total % _LOOK_AT_DISK_EVERY < len(chunk)
                if looks and shutil.disk_usage(self._folder).free < RESERVE:
                    raise OSError(errno.ENOSPC, "reserve reached")
                sink.write(chunk)
                self._progress(int(_SHARE * position()))


def _read(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    return iter(lambda: stream.read(_CHUNK), b"")


def _of_xz(file: IO[bytes]) -> Iterator[bytes]:
    """What is in an xz file, with a limit to the memory that it takes, which lzma.LZMAFile lacks."""
    unpacker: lzma.LZMADecompressor | None = None
    while chunk := file.read(_CHUNK):
        while chunk:
            if unpacker is None:
                chunk = chunk.lstrip(b"\0")  # zeros may stand between two streams
                if not chunk:
                    break
                unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            yield unpacker.decompress(chunk, _CHUNK)
            while not unpacker.eof and not unpacker.needs_input:
                yield unpacker.decompress(b"", _CHUNK)
            chunk = b""
            if unpacker.eof:
                chunk, unpacker = unpacker.unused_data, None
    if unpacker is not None:
        raise EOFError


# A file of one stream: what its name ends in, and how what is inside is read.
_STREAMS: dict[str | None, tuple[str, Callable[[IO[bytes]], Iterator[bytes]]]] = {
    "gzip": (r"\.gz(?:ip)?$", lambda file: _read(gzip.GzipFile(fileobj=file))),
    "bzip2": (r"\.bz2?$", lambda file: _read(bz2.BZ2File(file))),
    "xz": (r"\.xz$", _of_xz),
}


def _choose(archive: zipfile.ZipFile, name: str) -> list[tuple[zipfile.ZipInfo, str | None]]:
    """The members to read. Raises Invalid."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise Invalid(_TOO_MANY, kind="file")
    names = {info.filename for info in infos}
    for inside, what in _DOCUMENTS:
        if inside in names:
            raise Invalid(f"The file {what}. {_SAVE}", kind="file")
    if "mimetype" in names and "content.xml" in names:
        raise Invalid(f"The file is an OpenDocument file, as of LibreOffice. {_SAVE}", kind="file")
    files = [info for info in infos if not info.is_dir() and not _is_clutter(info.filename)]
    files = [info for info in files if not _is_about(info.filename)] or files
    if not files:
        raise Invalid(f"{name} has no file inside. Choose one with a table or a text in it.", kind="file")
    if locked := next((info for info in files if info.flag_bits & 1), None):
        raise Invalid(
            f"{_base(locked.filename)} inside the zip file has a password. Unpack it and upload what is inside.",
            kind="file",
        )
    if link := next((info for info in files if stat.S_ISLNK(info.external_attr >> 16)), None):
        raise Invalid(
            f"{_base(link.filename)} inside the zip file is a link to another file. Pack the file itself.",
            kind="file",
        )
    if len(files) == 1:
        return [(files[0], None)]
    parts = [part_of(info.filename) for info in files]
    if None not in parts and len(set(parts)) == len(parts) and "train" in parts:
        found = zip(files, parts, strict=True)
        return sorted(found, key=lambda pair: PARTS.index(pair[1] or "train"))
    raise Invalid(
        f"The zip file has {len(files):,} files inside: {listed([info.filename for info in files])}. Pack only the one to read, "
        "or name them train, validation and test.",
        kind="file",
    )


def listed(names: Iterable[str], most: int = 8) -> str:
    names = [_base(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _is_clutter(name: str) -> bool:
    """What macOS and Windows put into a zip by themselves."""
    path = PurePosixPath(name)
    named = path.name.startswith("._") or path.name in (".DS_Store", "Thumbs.db", "desktop.ini")
    return named or "__MACOSX" in path.parts


def _is_about(name: str) -> bool:
    """What people put into a zip beside the data."""
    return _ABOUT.fullmatch(PurePosixPath(name).name) is not None


def _damaged(what: str, error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno in _DISK:
        return error
    if isinstance(error, lzma.LZMAError) and "emory" in str(error):
        return Invalid(
            f"The {what} needs more than {megabytes(_XZ_MEMORY)} of memory to unpack. Pack it again without further options.",
            kind="file",
        )
    if isinstance(error, NotImplementedError):
        return Invalid(
            f"The {what} is packed by a method that Headstart doesn't know. Pack it again.", kind="file"
        )
    return Invalid(
        f"The {what} is damaged or was cut off, perhaps by a download that broke. Get it again and upload that.",
        kind="file",
    )


def _base(name: str) -> str:
    """The name without folders, in one line: it comes from the file."""
    base = PurePosixPath(name.replace("\\", "/")).name
    return "".join(char if char.isprintable() else " " for char in base)[:100] or "a file"


def _place(folder: Path, number: int) -> Path:
    return folder / f"{UNPACKED}-{number}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
