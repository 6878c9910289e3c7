"""The rows of a CSV: text → rows with the line where each begins.

The csv module does the cutting; Python sees each row once, and cells only as whole columns of a block.
"""

import csv
import io
import re
import string
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from app.core.errors import Invalid
from app.datasets.dialect import Dialect
from app.datasets.encoding import Encoding
from app.datasets.readers import source
from app.datasets.readers.source import MAX_CELL, Block, line_ends, open_text

_BATCH = 64
_BLANK = string.whitespace + "\x1a"  # DOS ends a file with Ctrl-Z


class CsvRows:
    """The rows of one file. `first` must be called before `blocks`.

    Blank lines are skipped. Rows of another width than the first row's are kept out of the blocks and told in `ragged`.
    Raises UnicodeDecodeError, NulFound, or Invalid for quotes that don't close and cells that don't end.
    """

    def __init__(self, path: Path, encoding: Encoding, dialect: Dialect) -> None:
        # Holds for the whole process; nobody is served by the module's own 128 KB.
        csv.field_size_limit(MAX_CELL)
        self.ragged = self.trailing = 0
        self.ragged_rows: list[tuple[int, int]] = []  # (line, cells) of the first 20
        self._path, self._encoding, self._dialect = path, encoding, dialect
        self._source, self._text = open_text(path, encoding)
        self._rows = dialect.reader(self._text)
        self._begin = 1  # the line where the next row, or batch of rows, begins
        self._more = True

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
                if any(cell.strip() for cell in row) and not (line == 1 and self._dialect.is_said(row)):
                    return row, line
        except csv.Error as error:
            raise self._broken(error) from error
        return None

    def blocks(self, width: int, first: tuple[list[str], int] | None = None) -> Iterator[Block]:
        """The rows of `width` cells behind the first, which comes along when it is given (no header)."""
        rows_a_block = max(_BATCH, min(source.BLOCK_ROWS, source.BLOCK_CELLS // width))
        block = Block([[] for _ in range(width)], [])
        if first is not None:
            block = Block([[cell] for cell in first[0]], [first[1]])
        stop = self.bytes_read + source.BLOCK_BYTES
        while True:
            # A batch of rows is cut without Python in between, and dropped before the next: as many live lists
            # as a block has rows would keep the garbage collector busy.
            try:
                rows = list(islice(self._rows, _BATCH))
            except csv.Error as error:
                raise self._broken(error) from error
            lines = self._starts(rows)
            if set(map(len, rows)) != {width}:
                rows, lines = self._fitting(rows, lines, width)
            for column, cells in zip(block.columns, zip(*rows, strict=True), strict=False):
                column.extend(cells)
            block.lines.extend(lines)
            ended = not rows and not self._more
            if block.lines and (ended or self.bytes_read >= stop or len(block.lines) >= rows_a_block):
                yield block
                block = Block([[] for _ in range(width)], [])
                stop = self.bytes_read + source.BLOCK_BYTES
            if ended:
                return

    def _starts(self, rows: list[list[str]]) -> Sequence[int]:
        """The line where each of the rows just read begins."""
        begin, self._begin = self._begin, self._rows.line_num + 1
        self._more = bool(rows)
        if self._begin - begin == len(rows):
            return range(begin, self._begin)
        starts, separator = [], self._dialect.delimiter
        for row in rows:
            starts.append(begin)
            cells = separator.join(row)
            begin += 1 + line_ends(cells, 0, len(cells))
        return starts

    def _fitting(
        self, rows: list[list[str]], lines: Sequence[int], width: int
    ) -> tuple[list[list[str]], list[int]]:
        """Without the blank and the ragged rows; the ragged ones are noted."""
        kept: list[list[str]] = []
        kept_lines: list[int] = []
        for row, line in zip(rows, lines, strict=True):
            if len(row) == width:
                kept.append(row)
                kept_lines.append(line)
            elif len(row) > 1 or (row and row[0].strip(_BLANK)):
                self._note_ragged(line, len(row))
                self.trailing += len(row) == width + 1 and not row[-1].strip()
        return kept, kept_lines

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
                f"Line {end} has a cell of more than {MAX_CELL // 2**20} MB. Shorten it, or check the delimiter.",
                [{"where": f"line {end}", "message": "has a cell that is too long"}],
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
        position = open_quote("".join(lines), self._dialect)
        if position is None:
            return None
        for number, line in enumerate(lines, begin):
            if position < len(line):
                return number
            position -= len(line)
        return end


def open_quote(text: str, dialect: Dialect) -> int | None:
    """Where the first quote stands that is not closed, or closed in the middle of a cell; `text` begins with a row."""
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
