"""What is in one column: counted while the file is read, one block of rows at a time."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

MAX_COUNTED = 1000  # distinct values up to which each is counted
TOP = 100
LINES_KEPT = 20
MAX_DISTINCT = 100_000
_LONGEST_COUNTED = 1000  # characters; a longer value is no label
_SAMPLE = 1000
_LISTS_LOOKED_AT = 50
# Share of the filled cells from which on the others are faults.
SURELY_NUMBERS = 0.9
NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?", re.ASCII)

# JSON lists in the cells: of texts or numbers, of objects with start and end, or only empty ones; None: no lists.
Shape = Literal["values", "spans", "empty"] | None


@dataclass
class ColumnProfile:
    """Counts of one column. Empty: nothing in the cell, or only white space. Values are counted stripped."""

    max_distinct: int = MAX_DISTINCT
    rows: int = 0
    empty: int = 0
    empty_lines: list[int] = field(default_factory=list)  # the first LINES_KEPT
    chars: int = 0
    max_chars: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)  # None once there are too many
    hashes: set[int] = field(default_factory=set)  # in place of counts, up to max_distinct
    sample: tuple[str, ...] = ()
    shape: Shape = None  # what lists the cells hold, by the first of them
    numeric: bool = True
    numbers: int = 0  # cells that are one; counted as long as most are

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """One block: the column's cells and the lines where their rows begin."""
        if not self.rows:
            self.sample = tuple(cell[:200] for cell in cells[:_SAMPLE])
            self.shape = shape_of(cells[:_SAMPLE])
            if self.shape is not None:
                self.counts = None  # no two lists are one label
        self.rows += len(cells)
        lengths = list(map(len, cells))
        longest = max(lengths)
        self.chars += sum(lengths)
        self.max_chars = max(self.max_chars, longest)
        stripped = list(map(str.strip, cells))
        empty = stripped.count("")
        self.empty += empty
        if empty and len(self.empty_lines) < LINES_KEPT:
            where = (line for line, cell in zip(lines, stripped, strict=True) if not cell)
            self.empty_lines += islice(where, LINES_KEPT - len(self.empty_lines))
        self._count_numbers(stripped, len(cells) - empty)
        if self.counts is not None:
            self.counts.update(stripped)
            if len(self.counts) > MAX_COUNTED + 1 or longest > _LONGEST_COUNTED:
                self.hashes = set(map(hash, self.counts))
                self.counts = None
        elif len(self.hashes) <= self.max_distinct:
            self.hashes.update(map(hash, stripped))

    def _count_numbers(self, cells: Sequence[str], filled: int) -> None:
        if self.numeric and (_are_numbers(cells) or _have_commas(cells)):
            self.numbers += filled
            return
        self.numeric = False
        if 2 * self.numbers >= self.rows - self.empty - filled and _mostly_numbers(cells):
            self.numbers += sum(map(bool, map(NUMBER.fullmatch, cells)))

    def finish(self) -> None:
        """The empty value is no value."""
        if self.counts is not None:
            del self.counts[""]
            if len(self.counts) > MAX_COUNTED:
                self.hashes = set(map(hash, self.counts))
                self.counts = None
        self.hashes.discard(hash(""))
        self.numeric = self.numeric and self.empty < self.rows

    @property
    def distinct(self) -> int:
        return len(self.counts) if self.counts is not None else min(len(self.hashes), self.max_distinct)

    @property
    def mean_chars(self) -> float:
        return self.chars / self.rows if self.rows else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "empty": self.empty,
            "distinct": self.distinct,
            "distinct_capped": self.counts is None and len(self.hashes) > self.max_distinct,
            "mean_chars": round(self.mean_chars, 1),
            "max_chars": self.max_chars,
            "numeric": self.numeric,
            "numbers": round(self.numbers / max(1, self.rows - self.empty), 3),
            "shape": self.shape,
            "counts": None if self.counts is None else dict(_most_common(self.counts)),
        }


def shape_of(cells: Sequence[str]) -> Shape:
    """What lists the first cells hold that are not blank; None unless all of those looked at are lists of one kind."""
    found: set[Shape] = set()
    filled = (cell for cell in cells if cell.strip())
    for cell in islice(filled, _LISTS_LOOKED_AT):
        if not cell.lstrip().startswith("["):
            return None
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return None
        if all(isinstance(item, str | int | float) for item in value):
            found.add("values" if value else "empty")
        elif all(isinstance(item, dict) and {"start", "end"} <= item.keys() for item in value):
            found.add("spans")
        else:
            return None
    if len(found) > 1:
        found.discard("empty")
    return found.pop() if len(found) == 1 else None


def _are_numbers(cells: Sequence[str]) -> bool:
    """Whether all cells that are not empty are finite numbers, as 3, -0.5 or 1e3."""
    try:
        finite = all(math.isfinite(float(cell)) for cell in cells if cell)
    except ValueError:
        return False
    return finite and not any("_" in cell for cell in cells)  # Python alone takes 1_000 for a number


def _mostly_numbers(cells: Sequence[str]) -> bool:
    """By the first of them: a column of texts is not worth the time."""
    sample = [cell for cell in cells[:200] if cell][:100]
    return bool(sample) and 2 * sum(map(bool, map(NUMBER.fullmatch, sample))) >= len(sample)


def _have_commas(cells: Sequence[str]) -> bool:
    """Whether they are numbers with decimal commas, as 3,5; not if all of them could part thousands, as 1,000."""
    written = [cell for cell in cells if cell]
    if not any("," in cell for cell in written[:1000]) or not all(map(_WITH_COMMA.fullmatch, written)):
        return False
    return any("," in cell and len(cell) - cell.index(",") != 4 for cell in written)


def _most_common(counts: Counter[str]) -> list[tuple[str, int]]:
    """The TOP values; equally frequent ones by code point."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]
