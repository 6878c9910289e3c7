"""Lines above a table that are no part of it, as "Sales 2024" over the columns' names."""

import re
from collections.abc import Iterator, Sequence

from app.datasets.dialect import Dialect, sniff
from app.datasets.roles import LABEL_NAMES, TEXT_NAMES

MOST = 3
_KNOWN = {*TEXT_NAMES, *LABEL_NAMES}
_NAME_LENGTH = 60


def count(rows: Sequence[Sequence[str]], sure: bool = False) -> int:
    """How many of the first rows are titles; 0 unless that is clear.

    A title is one cell of text, alone in its row, or a comment that begins with #. The row below it must have a name in each
    of two or more cells, and all rows below that the same width. `sure`: something else says so already, as a blank line in
    between; of a comment with more cells only a known name in the row below it does.
    """
    for titles in range(1, min(MOST, len(rows) - 2) + 1):
        above, names, below = rows[:titles], rows[titles], rows[titles + 1 :]
        if not all(_is_title(row) or _is_comment(row) for row in above):
            return 0
        if len(names) < 2 or not all(0 < len(cell.strip()) <= _NAME_LENGTH for cell in names):
            continue
        if any(len(row) != len(names) for row in below):
            continue
        known = any(cell.strip().casefold() in _KNOWN for cell in names)
        padded = all(len(row) == len(names) > 2 for row in above)
        if known or ((sure or padded) and all(_is_title(row) for row in above)):
            return titles
    return 0


def find(text: str, complete: bool, dialect: Dialect) -> tuple[Dialect, int]:
    """The dialect of the table in `text` and the titles above it; `dialect` is the guess that knows of no titles."""
    lines = list(_filled(text))
    for titles in range(1, min(MOST, len(lines) - 2) + 1):
        begin = lines[titles][0]
        below = sniff(text[begin:], complete, None)
        rows = [[cell] for _, cell in lines[:titles]]
        table = _rows(text[begin:], below, complete)
        if not table or len(table[0]) < 2:
            continue
        # A tab, semicolon or bar that cuts all rows alike is no chance; a comma may be.
        gap = "\n\n" in re.sub(r"\r\n?", "\n", text[lines[titles - 1][0] : begin])
        sure = gap or below.delimiter != ","
        if count([*rows, *table], sure) == titles:
            return below, titles
    return dialect, 0


def _is_title(row: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    return len(filled) == 1 and bool(row[0].strip()) and filled[0].casefold() not in _KNOWN


def _is_comment(row: Sequence[str]) -> bool:
    """`# exported, 2024-05-31`, and not the header `#,text,label` or `# text,label`."""
    return row[0].lstrip().startswith("#") and not any(
        cell.strip().lstrip("# ").casefold() in _KNOWN for cell in row
    )


def _filled(text: str) -> Iterator[tuple[int, str]]:
    """Where each of the first lines begins that is not blank, and the line."""
    for found in re.finditer(r"[^\r\n]+", text[:20_000]):
        if found[0].strip():
            yield found.start(), found[0]


def _rows(text: str, dialect: Dialect, complete: bool) -> list[list[str]]:
    import csv
    import io

    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space
    )
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        return []
    return rows if complete else rows[:-1]
