"""A table: CSV, TSV and their kin, or a sheet. The header, rows that don't fit, and what only the whole file shows."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from app.core.errors import Invalid, Problem
from app.datasets import header
from app.datasets.findings import Finding, lines_text, warning
from app.datasets.options import DELIMITERS, ReadOptions
from app.datasets.profile import Profile
from app.datasets.readers.source import Block

LINES = 20  # so many are told


class Rows(Protocol):
    """Rows of cells with the line where each begins: of a text, or of a sheet. See CsvRows.

    `ragged`: how many have another width than the first; of these `trailing` only end in a delimiter too many.
    """

    ragged: int
    trailing: int
    ragged_rows: list[tuple[int, int]]

    @property
    def bytes_read(self) -> int: ...

    def first(self) -> tuple[list[str], int] | None: ...

    def blocks(self, width: int, first: tuple[list[str], int] | None = None) -> Iterator[Block]: ...

    def close(self) -> None: ...


class CsvTable:
    """Raises Invalid on opening for a file without rows and for a header that can't be one.

    `titles`: so many rows above the header are no part of the table. `delimiter` is None for a sheet.
    """

    def __init__(self, rows: Rows, delimiter: str | None, options: ReadOptions, titles: int = 0) -> None:
        self._rows, self._delimiter, self._options = rows, delimiter, options
        self._titles: list[tuple[list[str], int]] = []
        self._repeats, self._repeated = 0, list[int]()  # rows that are the header once more; the first lines
        try:
            self._open(titles)
        except BaseException:
            self._rows.close()
            raise

    def _open(self, titles: int) -> None:
        options = self._options
        first = self._rows.first()
        while first is not None and len(self._titles) < titles:
            self._titles.append(first)
            first = self._rows.first()
        if first is None:
            raise no_rows()
        cells, self._line = first
        header.refuse_too_many(len(cells))
        header.refuse_delimiter(cells, self._line)
        if options.header is None:
            header.refuse_data(cells, self._line)
        self._has_header = options.header is not False
        self.names = header.names(cells, self._line) if self._has_header else header.numbered(len(cells))
        self._first = None if self._has_header else first
        self._header = tuple(cells)

    @property
    def bytes_read(self) -> int:
        return self._rows.bytes_read

    def close(self) -> None:
        self._rows.close()

    def blocks(self) -> Iterator[Block]:
        """Rows as wide as the first; nothing more once one is not, unless such rows are to be left out."""
        for block in self._rows.blocks(len(self.names), self._first):
            if self._rows.ragged and not self._options.skip_ragged:
                block = Block([[] for _ in self.names], [])
            yield self._without_headers(block)

    def _without_headers(self, block: Block) -> Block:
        """Without the rows that are the header once more, as where files were joined."""
        if not self._has_header or len(self.names) < 2 or self._header[0] not in block.columns[0]:
            return block
        rows = list(zip(*block.columns, strict=True))
        repeated = {place for place, row in enumerate(rows) if row == self._header}
        if not repeated:
            return block
        self._repeats += len(repeated)
        self._repeated += [block.lines[place] for place in sorted(repeated)][: LINES - len(self._repeated)]
        kept = [place for place in range(len(rows)) if place not in repeated]
        columns = [[column[place] for place in kept] for column in block.columns]
        return Block(columns, [block.lines[place] for place in kept])

    def check(self, profile: Profile) -> None:
        self.check_rows(profile.rows)
        if self._options.header is None:
            header.refuse_value(profile.names, profile.columns, profile.rows, self._line)

    def check_rows(self, rows: int) -> None:
        """Raises Invalid for rows that are ragged, or none at all."""
        if self._rows.ragged and not self._options.skip_ragged:
            raise self._ragged()
        if not rows and self._rows.ragged:
            raise Invalid(
                f"No row has as many cells as line {self._line}, so nothing is left. Check the delimiter "
                f"({DELIMITERS[self._delimiter or ',']} was used).",
                kind="no_rows",
            )
        if not rows:
            raise Invalid(
                f"The file has a header and no rows below it (columns: {_listed(self.names)}). "
                "Add rows, or, if that line is data, read the file again and say that it has no header.",
                kind="no_rows",
            )

    def _ragged(self) -> Invalid:
        width, rows = len(self.names), self._rows
        problems: list[Problem] = [
            {"where": f"line {line}", "message": f"has {_cells(cells)} and needs {width}"}
            for line, cells in rows.ragged_rows
        ]
        if rows.ragged == 1:
            line, cells = rows.ragged_rows[0]
            what = f"Line {line} has {_cells(cells)} where the first row has {width}."
        else:
            lines = lines_text([line for line, _ in rows.ragged_rows], rows.ragged)
            what = f"{rows.ragged:,} rows have more or fewer cells than the first row's {width}: {lines}."
        return Invalid(f"{what} {self._ragged_help()}", problems, kind="ragged")

    def _ragged_help(self) -> str:
        if len(self.names) == 1:
            return (
                f"If line {self._line} is a title, remove it and all else above the line with the columns' names; "
                "or read the file again without these rows."
            )
        if self._rows.trailing == self._rows.ragged:
            each = "It ends" if self._rows.ragged == 1 else "Each of them ends"
            return f"{each} in a {DELIMITERS[self._delimiter or ',']} too many: remove it."
        return (
            f"Put quotes around cells that contain a {DELIMITERS[self._delimiter or ',']}, "
            "or read the file again without these rows."
        )

    def warnings(self, profile: Profile) -> list[Finding]:
        found = self.row_warnings()
        if len(profile.names) == 1:
            found.append(
                warning(
                    f"column {profile.names[0]}",
                    "This is the only column. To learn labels, a file needs a text column and a label column; "
                    "if there are more columns, remove the lines above the header, or read the file again with "
                    "another delimiter.",
                )
            )
        for name, column in zip(profile.names, profile.columns, strict=True):
            if self._has_header and column.counts is not None and column.counts[name]:
                times = f"{column.counts[name]:,} time" + ("s" if column.counts[name] > 1 else "")
                found.append(
                    warning(
                        f"column {name}",
                        f"The column's name stands {times} among its values. "
                        "Was the header repeated when files were joined?",
                    )
                )
        return found

    def row_warnings(self) -> list[Finding]:
        """About columns that were renamed, and rows that were left out."""
        found = header.renamed(self._header, self.names, self._line) if self._has_header else []
        if self._titles:
            lines = lines_text([line for _, line in self._titles], len(self._titles))
            title = next(cell.strip() for cell in self._titles[0][0] if cell.strip())
            found.append(
                warning(
                    lines,
                    f"Left out, because it looks like a title above the table: {title[:80]!r}. Line {self._line} was read as "
                    "the header. If that is wrong, read the file again and say whether line 1 names the columns.",
                )
            )
        if self._repeats:
            what = "it repeats" if self._repeats == 1 else "they repeat"
            lines = lines_text(self._repeated, self._repeats)
            found.append(warning(lines, f"Left out, because {what} the header: were files joined?"))
        ragged = self._rows.ragged
        if not ragged:
            return found
        lines = lines_text([line for line, _ in self._rows.ragged_rows], ragged)
        rows = "1 row was" if ragged == 1 else f"{ragged:,} rows were"
        return [
            *found,
            warning("rows", f"{rows} left out for having more or fewer cells than the first row: {lines}."),
        ]

    def used(self) -> dict[str, Any]:
        return {"format": "csv", "delimiter": self._delimiter, "header": self._has_header}


def no_rows() -> Invalid:
    return Invalid(
        "The file has no rows: it holds only blank lines. Choose a file with a header and rows below it.",
        kind="no_rows",
    )


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
