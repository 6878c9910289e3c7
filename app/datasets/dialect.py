"""Which character separates the columns: the one that cuts the head of the file into equal rows."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# On a tie the earlier wins: a comma stands inside cells (1,5) more often than a tab or a semicolon does.
_CANDIDATES = ("\t", ";", ",", "|")
# Excel's own first line, by which a file says its delimiter.
_SAID = re.compile(r'"?sep=([\t;,|])"?(?:\r\n|\r|\n|$)')


@dataclass(frozen=True)
class Dialect:
    """`skip_space`: a space behind the delimiter belongs to no cell, so that `a, "b, c"` has two."""

    delimiter: str
    skip_space: bool = False

    def is_said(self, row: Sequence[str]) -> bool:
        """Whether a row is that line, which is neither header nor data."""
        return _SAID.fullmatch(self.delimiter.join(row)) is not None

    def reader(self, lines: Iterable[str]) -> Any:
        """The csv reader; strict, so that a stray quote is an error and not a guess."""
        return csv.reader(lines, delimiter=self.delimiter, strict=True, skipinitialspace=self.skip_space)


def sniff(head: str, complete: bool, asked: str | None = None) -> Dialect:
    """`head`: the beginning of the text; `complete`: it is all of it. `asked`: the user's delimiter.

    The widths of the rows are compared with that of the first: a delimiter that is in the first row wins over
    one that is not, then the one with most rows of that width.
    """
    if said := _SAID.match(head):
        asked, head = asked or said[1], head[said.end() :]
    best, best_score = Dialect(asked or ","), (False, -1.0)
    for delimiter in (asked,) if asked else _CANDIDATES:
        for skip_space in (False, True):
            widths = _widths(head, complete, Dialect(delimiter, skip_space))
            if not widths:
                continue
            score = (widths[0] > 1, sum(width == widths[0] for width in widths) / len(widths))
            # One column: no delimiter is in the first row. A comma is then as good as any and the least odd.
            if score > best_score or (
                score == best_score and not score[0] and delimiter == "," and not skip_space
            ):
                best, best_score = Dialect(delimiter, skip_space), score
    return best


def _widths(head: str, complete: bool, dialect: Dialect) -> list[int]:
    lines = io.StringIO(head, newline="")
    rows = csv.reader(lines, delimiter=dialect.delimiter, skipinitialspace=dialect.skip_space)
    widths = []
    try:
        for row in rows:
            if row and (len(row) > 1 or row[0].strip()):
                widths.append(len(row))
    except csv.Error:
        pass  # the pass over the whole file will say where and why
    return widths if complete or len(widths) < 2 else widths[:-1]
