"""The one pass over a file: bytes → text → rows with the line where each begins.

The csv module does the cutting; Python sees each row once, and cells only as whole columns of a block.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.datasets.dialect import Dialect
from app.datasets.encoding import Encoding

MAX_CELL = 10 * 2**20  # characters
_MAX_LINE = 64 * 2**20  # bytes
_CHUNK = 2**20
# A block is what lies in memory at once: so many bytes of the file, or cells (a wide table), or rows.
_BLOCK_BYTES = 8 * 2**20
_BLOCK_CELLS = 500_000
_BLOCK_ROWS = 16_384


class NulFound(Exception):
    """The file has a NUL byte."""


class Source(io.RawIOBase):
    """The file's bytes. Counts them, and stops at what is no text: a NUL byte or an endless line."""

    def __init__(self, path: Path, may_have_nul: bool) -> None:
        self.taken = 0
        self._file = path.open("rb", buffering=0)
        self._may_have_nul = may_have_nul
        self._line_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(min(len(buffer), _CHUNK)) or b""
        buffer[: len(chunk)] = chunk
        self.taken += len(chunk)
        if not self._may_have_nul and b"\0" in chunk:
            raise NulFound
        last_end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._line_bytes = self._line_bytes + len(chunk) if last_end < 0 else len(chunk) - last_end
        if self._line_bytes > _MAX_LINE:
            raise Invalid(
                f"The file has a line of more than {_MAX_LINE // 2**20} MB, so it is no table of text. "
                "Save it as CSV with one row a line.",
                kind="file",
            )
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


@dataclass
class Block:
    """Consecutive rows; `lines[i]` is the physical line, from 1, where `rows[i]` begins."""

    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


class Reader:
    """The rows of one file. `first` must be called before `blocks`.

    Blank lines are skipped. Rows of another width than the first row's are kept out of the blocks and told in `ragged`.
    Raises UnicodeDecodeError, NulFound, or Invalid for quotes that don't close and cells that don't end.
    """

    def __init__(self, path: Path, encoding: Encoding, dialect: Dialect) -> None:
        csv.field_size_limit(
            MAX_CELL
        )  # holds for the whole process, and the module's own 128 KB suits nobody
        self.ragged = 0
        self.ragged_rows: list[tuple[int, int]] = []  # (line, cells) of the first 20
        self._path, self._encoding, self._dialect = path, encoding, dialect
        self._source = Source(path, encoding.codec.startswith(("utf-16", "utf-32")))
        self._text = io.TextIOWrapper(
            io.BufferedReader(self._source, _CHUNK), encoding.codec, errors="strict", newline=""
        )
        self._rows = dialect.reader(self._text)
        self._begin = 1  # the line where the next row begins

    def close(self) -> None:
        self._text.close()

    @property
    def bytes_read(self) -> int:
        return self._source.taken

    def first(self) -> tuple[list[str], int] | None:
        """The first row that is not blank, and its line."""
        try:
            for row in self._rows:
                line, self._begin = self._begin, self._rows.line_num + 1
                if any(cell.strip() for cell in row):
                    return row, line
        except csv.Error as error:
            raise self._broken(error) from error
        return None

    def blocks(self, width: int, first: tuple[list[str], int] | None = None) -> Iterator[Block]:
        """The rows of `width` cells behind the first, which comes along when it is given (no header)."""
        rows_a_block = max(16, min(_BLOCK_ROWS, _BLOCK_CELLS // width))
        block = Block()
        if first is not None:
            block.rows.append(first[0])
            block.lines.append(first[1])
        reader, source, begin = self._rows, self._source, self._begin
        stop = source.taken + _BLOCK_BYTES
        try:
            for row in reader:
                if len(row) == width:
                    block.rows.append(row)
                    block.lines.append(begin)
                elif row and (len(row) > 1 or row[0].strip()):
                    self._note_ragged(begin, len(row))
                begin = self._begin = reader.line_num + 1
                if source.taken >= stop or len(block.rows) >= rows_a_block:
                    if block.rows:
                        yield block
                    block = Block()
                    stop = source.taken + _BLOCK_BYTES
        except csv.Error as error:
            raise self._broken(error) from error
        if block.rows:
            yield block

    def _note_ragged(self, line: int, cells: int) -> None:
        self.ragged += 1
        if len(self.ragged_rows) < 20:
            self.ragged_rows.append((line, cells))

    def _broken(self, error: csv.Error) -> Invalid:
        """Where the quote opened that the csv module stumbled over, in the words of a person."""
        begin, end = self._begin, self._rows.line_num
        line = self._quote_line(begin, end)
        if line is None:
            return Invalid(
                f"Line {begin} has a cell of more than {MAX_CELL // 2**20} MB. Shorten it, or check the delimiter.",
                [{"where": f"line {begin}", "message": "has a cell that is too long"}],
                kind="csv",
            )
        if line == end and "expected after" in str(error):
            what = (
                "has other text directly behind the quote that ends a cell. Inside a cell in quotes, "
                'write each quote twice ("")'
            )
        elif "unexpected end" in str(error):
            what = "opens a quote that is never closed. Close it, or remove it"
        else:
            what = (
                f"opens a quote that is not closed properly: the cell runs on to line {end:,}. "
                'Close it in its own line, and write each quote inside the cell twice ("")'
            )
        return Invalid(f"Line {line} {what}.", [{"where": f"line {line}", "message": what}], kind="csv")

    def _quote_line(self, begin: int, end: int) -> int | None:
        """The line of the quote that is open in lines begin … end; None if there is none."""
        with io.TextIOWrapper(
            self._path.open("rb"), self._encoding.codec, errors="replace", newline=""
        ) as text:
            lines = [line for number, line in zip(range(1, end + 1), text, strict=False) if number >= begin]
        position = unclosed_quote("".join(lines), self._dialect)
        if position is None:
            return None
        for number, line in enumerate(lines, begin):
            if position < len(line):
                return number
            position -= len(line)
        return end


def unclosed_quote(text: str, dialect: Dialect) -> int | None:
    """Where the quote stands in a row's text that is not closed, or closed in the middle of a cell."""
    separators = re.escape(dialect.delimiter) + "\r\n"
    opening = re.compile(rf'(?:\A|[{separators}]){" *" if dialect.skip_space else ""}"')
    position = 0
    while found := opening.search(text, position):
        opened, position = found.end() - 1, found.end()
        while True:
            closing = text.find('"', position)
            if closing < 0:
                return opened
            position = closing + 1
            behind = text[position : position + 1]
            if behind == '"':
                position += 1
                continue
            if behind and behind not in f"{dialect.delimiter}\r\n":
                return opened
            break
    return None
