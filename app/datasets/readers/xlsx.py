"""An Excel workbook: one of its sheets as a table, row by row.

Cells are what Excel shows without its formats: 3 for 3,00 €, 2024-05-31 for a date, true or false, the last value of a
formula. All texts of a workbook lie in one list in memory, so its size is looked at first.
"""

import datetime
import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

from app.core.errors import HeadstartError, Invalid
from app.core.files import megabytes
from app.datasets import title
from app.datasets.findings import Finding, warning
from app.datasets.options import ReadOptions
from app.datasets.profile import Profile
from app.datasets.readers.csv_table import CsvTable
from app.datasets.readers.source import MAX_CELL, Block, in_blocks, too_long
from app.datasets.readers.workbook import Book, Sheet, open_book, unescaped

MAX_TEXTS = 128 * 2**20  # of sharedStrings.xml
MAX_SHEET = 4 * 2**30
MAX_RATIO = 200
MAX_ROWS = 1_048_576  # Excel's own limit
_SMALL = 64 * 2**20
_LOOKED_AT = 50
_MAX_WIDTH = 16_384
# A cell with a formula and without a value, as programs write it that are no spreadsheet.
_UNCOUNTED = re.compile(rb"(?:</f>|<f\b[^>]*/>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
_PIECE = 2**20
_CSV = "In Excel, save the sheet as CSV (UTF-8) and upload that."

Row = tuple[list[str], int]


def open_workbook(path: Path, options: ReadOptions) -> "SheetTable":
    """Raises Invalid for a workbook that is damaged, too big, without rows, or without the sheet that was asked for."""
    _bounded(path)
    file = path.open("rb")  # by its path openpyxl would refuse a name without .xlsx
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which are not read
            book = open_book(file)
        return _table(book, file, options)
    except BaseException as error:
        file.close()
        if isinstance(error, Exception) and not isinstance(error, (HeadstartError, MemoryError)):
            raise _damaged() from error  # each part of openpyxl has exceptions of its own for what is damaged
        raise


def _table(book: Book, file: IO[bytes], options: ReadOptions) -> "SheetTable":
    names = [sheet.title for sheet in book.sheets]
    if options.sheet is not None and options.sheet not in names:
        raise Invalid(
            f"The workbook has no sheet {options.sheet!r}; there are: {', '.join(names[:20])}.",
            [{"where": "sheet", "message": f"there is no {options.sheet!r}"}],
            kind="sheet",
        )
    filled: list[SheetRows] = []
    # A hidden sheet holds lists for others to choose from: it is read only where it is asked for, or there is no other.
    for sheet in sorted(book.sheets, key=lambda sheet: sheet.hidden):
        if options.sheet in (None, sheet.title):
            rows = SheetRows(file, book, sheet, _LOOKED_AT if not filled else 1)
            if rows.beginning:
                filled.append(rows)
    if not filled:
        raise Invalid(
            "The workbook has no rows: its sheets are empty, or charts. Choose one with a table.",
            kind="no_rows",
        )
    others = [rows.title for rows in filled[1:]]
    return SheetTable(filled[0], options, others, book.unstyled)


class SheetRows:
    """The rows of one sheet that are not blank, each with its number, as csv_table.Rows.

    Cells right of the first row's last one are ragged rows; missing ones are empty.
    """

    def __init__(self, file: IO[bytes], book: Book, sheet: Sheet, looked_at: int) -> None:
        self.ragged = self.trailing = 0
        self.ragged_rows: list[tuple[int, int]] = []
        self.title = sheet.title
        self._file, self._book, self._sheet = file, book, sheet
        self._size = os.fstat(file.fileno()).st_size
        self._share = 0.0
        self._rows = self._filled()
        self.beginning: list[Row] = list(islice(self._rows, looked_at))
        self._left = self._empty_columns()
        self.beginning = [(cells[self._left :], number) for cells, number in self.beginning]
        self._next = 0

    def _empty_columns(self) -> int:
        """How many columns left of the table are empty, as far as has been read."""
        return min(
            (next(place for place, cell in enumerate(cells) if cell.strip()) for cells, _ in self.beginning),
            default=0,
        )

    @property
    def bytes_read(self) -> int:
        """A guess by the share of the sheet."""
        return int(self._size * min(1.0, self._share))

    @property
    def titles(self) -> int:
        """How many rows of the beginning are titles above the table."""
        sample = [cells for cells, _ in self.beginning]
        widest = max(map(len, sample))
        for titles in range(1, min(title.MOST, len(sample) - 2) + 1):
            below = [cells + [""] * (len(sample[titles]) - len(cells)) for cells in sample[titles:]]
            if len(sample[titles]) == widest and title.count([*sample[:titles], *below], sure=True):
                return titles
        return 0

    def first(self) -> Row | None:
        self._next += 1
        return self.beginning[self._next - 1] if self._next <= len(self.beginning) else None

    def blocks(self, width: int, first: Row | None = None) -> Iterator[Block]:
        return in_blocks(self._fitting(width, first), width)

    def _fitting(self, width: int, first: Row | None) -> Iterator[Row]:
        if first is not None:
            yield first
        for rows in (self.beginning[self._next :], map(self._cut, self._rows)):
            for cells, number in rows:
                if len(cells) > width:
                    self.ragged += 1
                    if len(self.ragged_rows) < 20:
                        self.ragged_rows.append((number, len(cells)))
                else:
                    yield cells + [""] * (width - len(cells)), number

    def _cut(self, row: Row) -> Row:
        """Without the empty columns left of the table. Raises Invalid if they are not empty here."""
        cells, number = row
        if any(cell.strip() for cell in cells[: self._left]):
            raise Invalid(
                f"Row {number} has a cell left of the table, which begins in column {self._left + 1} of the sheet. Give that "
                "column a name in the table's first row, or empty the cell.",
                [{"where": f"row {number}", "message": "has a cell left of the table"}],
                kind="header",
            )
        return cells[self._left :], number

    def _filled(self) -> Iterator[Row]:
        number = 0
        try:
            for number, values in self._book.rows(self._sheet, self._read):
                if number > MAX_ROWS:
                    raise Invalid(
                        f"The sheet {self.title!r} goes on behind row {MAX_ROWS:,}, where Excel's sheets end. {_CSV}",
                        kind="file",
                    )
                if values and max(values) > _MAX_WIDTH:
                    raise Invalid(
                        f"Row {number} has {max(values):,} columns, and Excel's sheets have at most {_MAX_WIDTH:,}. {_CSV}",
                        kind="file",
                    )
                found = {column: as_text(value) for column, value in values.items()}
                if any(len(text) > MAX_CELL for text in found.values()):
                    raise too_long(f"row {number}", "has a cell that is longer")
                if width := max((column for column, text in found.items() if text.strip()), default=0):
                    yield _in_columns(found, width), number
        except (HeadstartError, MemoryError):
            raise
        except Exception as error:
            raise _damaged(number + 1) from error

    def _read(self, share: float) -> None:
        self._share = share

    def uncounted(self) -> int:
        """How many cells have a formula whose result is not in the file."""
        found, rest = 0, b""
        with zipfile.ZipFile(self._file) as archive, archive.open(self._sheet.path) as xml:
            while piece := xml.read(_PIECE):
                text = rest + piece
                found += len(_UNCOUNTED.findall(text))
                rest = text[text.rfind(b"</c>") + 1 :][-4096:]
        return found

    def close(self) -> None:
        self._file.close()


class SheetTable(CsvTable):
    """A table whose rows are those of a sheet. `others`: sheets that have rows too and were not read."""

    def __init__(self, rows: SheetRows, options: ReadOptions, others: list[str], unstyled: bool) -> None:
        self._sheet, self._sheet_rows, self._others, self._unstyled = rows.title, rows, others, unstyled
        super().__init__(rows, None, options, 0 if options.header is not None else rows.titles)

    def warnings(self, profile: Profile) -> list[Finding]:
        found = super().warnings(profile)
        if any(column.empty for column in profile.columns) and (cells := self._sheet_rows.uncounted()):
            what = "1 cell has a formula" if cells == 1 else f"{cells:,} cells have formulas"
            found.append(
                warning(
                    f"sheet {self._sheet}",
                    f"{what} without a result in the file, so they are empty here. Open the workbook in Excel, save it, and "
                    "upload it again.",
                )
            )
        if self._unstyled:
            found.append(
                warning(
                    f"sheet {self._sheet}",
                    "The workbook's formats can't be read, so a date is the number of its day here. If there are dates, save the "
                    "sheet as CSV (UTF-8) and upload that.",
                )
            )
        if self._others:
            several = len(self._others) > 1
            found.append(
                warning(
                    f"sheet {self._sheet}",
                    f"This sheet was read. {'Others have' if several else 'Another has'} rows too: "
                    f"{', '.join(self._others[:10])}. To read {'one of them' if several else 'it'}, name it below.",
                )
            )
        return found

    def used(self) -> dict[str, Any]:
        return {**super().used(), "format": "xlsx", "sheet": self._sheet}

    def _ragged_help(self) -> str:
        return "Remove what stands right of the table, or read the file again without these rows."


def _in_columns(found: Mapping[int, str], width: int) -> list[str]:
    """Quick for a row with one cell, far to the right."""
    cells = [""] * width
    for column, text in found.items():
        if column <= width:
            cells[column - 1] = text
    return cells


def as_text(value: Any) -> str:
    """A cell's value as it would stand in a CSV."""
    if value is None:
        return ""
    if isinstance(value, str):
        return unescaped(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        day = value.time() == datetime.time()
        return str(value.date() if day else value.isoformat(sep=" ", timespec="seconds"))
    return str(value)


def _bounded(path: Path) -> None:
    """Raises Invalid if what the workbook unpacks to is too big. zipfile reads no more of a member than it says it has."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except Exception as error:
        raise _damaged() from error
    total, packed = sum(sizes.values()), path.stat().st_size
    texts = sizes.get("xl/sharedStrings.xml", 0)
    if total > max(_SMALL, MAX_RATIO * packed) or total > MAX_SHEET:
        raise Invalid(
            f"The workbook grows to {megabytes(total)} when it is unpacked, and the file has {megabytes(packed)}: no sheet of "
            f"texts packs that well. {_CSV}",
            kind="file",
        )
    if texts > MAX_TEXTS:
        raise Invalid(
            f"The workbook has {megabytes(texts)} of texts, and Headstart reads at most {megabytes(MAX_TEXTS)} of a workbook. "
            f"{_CSV} A CSV may have any size.",
            kind="file",
        )


def _damaged(row: int | None = None) -> Invalid:
    where = f" (row {row} can't be read)" if row else ""
    return Invalid(
        f"The Excel workbook is damaged{where}. Open it in Excel and save it again, or save it as CSV (UTF-8).",
        [{"where": f"row {row}", "message": "can't be read"}] if row else [],
        kind="file",
    )
