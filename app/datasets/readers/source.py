"""What every format is read from: bytes → physical lines → blocks of rows, in flat memory."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.core.errors import Invalid, Problem
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding
from app.datasets.profile import Profile

MAX_CELL = 10 * 2**20  # characters
MAX_FAULTS = 20
_MAX_LINE = 32 * 2**20  # bytes
CHUNK = 2**20
# A byte order mark at the begin of a line: files were joined. It would hide a quote from the reader of a CSV.
_MARKS = ((b"\n\xef\xbb\xbf", b"\n"), (b"\r\xef\xbb\xbf", b"\r"))
_CUT_MARKS = (b"\n", b"\r", b"\n\xef", b"\r\xef", b"\n\xef\xbb", b"\r\xef\xbb")
# A block is what lies in memory at once: so many bytes of the file (or characters), or cells (a wide table), or rows.
BLOCK_BYTES = 8 * 2**20
BLOCK_CELLS = 500_000
BLOCK_ROWS = 16_384


class NulFound(Exception):
    """The file has a NUL byte."""


class Source(io.RawIOBase):
    """The file's bytes. Counts them, and stops at what is no text: a NUL byte or an endless line, unless `endless`.

    `wide`: UTF-16 or UTF-32, which has NUL bytes. Of other text, UTF-8's marks at the begin of a line are left out.
    """

    def __init__(self, path: Path, wide: bool, endless: bool = False) -> None:
        self.taken = 0
        self._file = path.open("rb", buffering=0)
        self._wide = wide
        self._line_bytes, self._endless = 0, endless

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(max(1, min(len(buffer), CHUNK) - 3)) or b""
        if not self._wide:
            while chunk.endswith(_CUT_MARKS) and len(chunk) < len(buffer) and (more := self._file.read(1)):
                chunk += more
        self.taken += len(chunk)
        if not self._wide:
            if b"\0" in chunk:
                raise NulFound
            for mark, end in _MARKS:
                if mark in chunk:
                    chunk = chunk.replace(mark, end)
        buffer[: len(chunk)] = chunk
        last_end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._line_bytes = self._line_bytes + len(chunk) if last_end < 0 else len(chunk) - last_end
        if self._line_bytes > _MAX_LINE and not self._endless:
            line = self._number_of_lines() + 1
            message = f"has more than {_MAX_LINE // 2**20} MB, so the file is no table of text"
            raise Invalid(
                f"Line {line} {message}. Save it with one row a line.",
                [{"where": f"line {line}", "message": message}],
                kind="file",
            )
        return len(chunk)

    def _number_of_lines(self) -> int:
        """How many lines end in what was read."""
        feeds = returns = 0
        self._file.seek(0)
        for _ in range(0, self.taken, CHUNK):
            chunk = self._file.read(CHUNK) or b""
            feeds, returns = feeds + chunk.count(b"\n"), returns + chunk.count(b"\r")
        return feeds or returns

    def close(self) -> None:
        self._file.close()
        super().close()


def open_text(path: Path, encoding: Encoding, endless: bool = False) -> tuple[Source, io.TextIOWrapper]:
    """The file's bytes and its text; only LF, CR and both together end a line, and they stay in it.

    Reading raises UnicodeDecodeError, NulFound, and, but for `endless`, Invalid for a line without end.
    """
    source = Source(path, encoding.codec.startswith(("utf-16", "utf-32")), endless)
    text = io.TextIOWrapper(io.BufferedReader(source, CHUNK), encoding.codec, errors="strict", newline="")
    return source, text


class Lines:
    """The physical lines of a file with their numbers from 1, without their ends.

    Iterating raises what `open_text` says, and Invalid for a line of more than MAX_CELL characters.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._source, self._text = open_text(path, encoding)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self._text, 1):
            if len(line) > MAX_CELL:
                raise too_long(f"line {number}", "is longer")
            # A byte order mark in the middle: files were joined.
            yield number, line.rstrip("\r\n").lstrip("\ufeff")

    @property
    def bytes_read(self) -> int:
        return self._source.taken

    def close(self) -> None:
        self._text.close()


def line_ends(text: str, begin: int, end: int) -> int:
    """How often a line ends in text[begin:end]: with LF, CR or both."""
    found = text.count("\n", begin, end)
    if returns := text.count("\r", begin, end):
        found += returns - text.count("\r\n", begin, end)
    return found


def too_long(where: str, what: str) -> Invalid:
    """`where` (a line) `what` ("is longer", "has a cell") than a cell may be."""
    message = f"{what} than {MAX_CELL // 2**20} MB: no text is that long"
    return Invalid(
        f"{where.capitalize()} {message}. Cut it into several rows, or leave it out.",
        [{"where": where, "message": message}],
        kind="file",
    )


@dataclass
class Block:
    """Consecutive rows, column by column; `lines[i]` is the physical line, from 1, where row i begins."""

    columns: list[list[str]]
    lines: list[int]


def in_blocks(rows: Iterable[tuple[Sequence[str], int]], width: int) -> Iterator[Block]:
    """Rows of `width` cells, each with its line, as blocks of bounded size."""
    most = max(1, min(BLOCK_ROWS, BLOCK_CELLS // width))
    block, chars = Block([[] for _ in range(width)], []), 0
    for cells, line in rows:
        for column, cell in zip(block.columns, cells, strict=True):
            column.append(cell)
            chars += len(cell)
        block.lines.append(line)
        if len(block.lines) >= most or chars >= BLOCK_BYTES:
            yield block
            block, chars = Block([[] for _ in range(width)], []), 0
    if block.lines:
        yield block


class Table(Protocol):
    """A file being read in one of the formats. Opening raises what reading does.

    `names`: the columns. `blocks` gives the rows once. `check` then raises Invalid for what only the whole file
    shows, and `warnings` says what the user should look at. `used` is what `options` shows of this format.
    """

    names: list[str]

    @property
    def bytes_read(self) -> int: ...

    def blocks(self) -> Iterator[Block]: ...

    def check(self, profile: Profile) -> None: ...

    def warnings(self, profile: Profile) -> list[Finding]: ...

    def used(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


@dataclass
class Faults:
    """Lines that can't be used. All are told at once, or the first MAX_FAULTS, where reading stops."""

    kind: str
    help: str = ""
    found: list[Problem] = field(default_factory=list)

    def add(self, line: int, message: str) -> None:
        """Raises Invalid when there are too many."""
        self.found.append({"where": f"line {line}", "message": message})
        if len(self.found) == MAX_FAULTS:
            self.refuse()

    def refuse(self) -> None:
        """Raises Invalid if there are any."""
        if not self.found:
            return
        first, others = self.found[0], len(self.found) - 1
        more = (
            ""
            if not others
            else " One more line has a fault."
            if others == 1
            else f" {others} more lines have faults."
        )
        if len(self.found) == MAX_FAULTS:
            more = f" {others} more lines below it have faults, and reading stopped there."
        help = f" {self.help}" if self.help else ""
        raise Invalid(
            f"{first['where'].capitalize()} {first['message']}.{help}{more}", self.found, kind=self.kind
        )
