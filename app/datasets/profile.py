"""What is in the columns: counted while the file is read, one block of rows at a time."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

MAX_COUNTED = 1000  # distinct values up to which each is counted
TOP = 100
LINES_KEPT = 20
_MAX_DISTINCT = 100_000
_ALL_DISTINCT = 2_000_000  # hashes kept for all columns together: about 120 MB
_LONGEST_COUNTED = 1000  # characters; a longer value is no label
_SAMPLE = 1000

TEXT_NAMES = (
    *("text", "texts", "review", "sentence", "content", "message", "comment", "tweet", "body", "document"),
    *("review_text", "reviewtext", "description", "question", "utterance", "post", "abstract", "summary"),
    *("article", "phrase", "feedback", "email", "mail", "headline", "title", "subject", "source", "prompt"),
)
LABEL_NAMES = (
    *(
        "label",
        "labels",
        "class",
        "category",
        "sentiment",
        "target",
        "classes",
        "categories",
        "topic",
        "intent",
    ),
    *("emotion", "polarity", "stars", "star", "rating", "tag", "tags", "type", "genre", "is_spam", "spam"),
    *("airline_sentiment", "score", "y", "output", "outcome", "result"),
)
_ID_NAME = re.compile(
    r"(?:.*[_\s-])?(?:id|ids|uuid|guid|index|idx|row|nr|no|key|url|link)|unnamed: ?\d+", re.I
)
_CAMEL_ID = re.compile(r".*[a-z]I[dD]")
# More than one word: a space, or two characters of a script that writes none (Thai to Khmer, Japanese, Chinese).
_WORDS = re.compile(" |[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2}")
_PART_NAME = re.compile(r"split|fold|set|subset|part|partition|dataset", re.I)


@dataclass
class ColumnProfile:
    """Counts of one column. Empty: nothing in the cell, or only white space. Values are counted stripped."""

    max_distinct: int = _MAX_DISTINCT
    rows: int = 0
    empty: int = 0
    empty_lines: list[int] = field(default_factory=list)  # the first LINES_KEPT
    chars: int = 0
    max_chars: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)  # None once there are too many
    hashes: set[int] = field(default_factory=set)  # in place of counts, up to max_distinct
    sample: tuple[str, ...] = ()

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """One block: the column's cells and the lines where their rows begin."""
        if not self.rows:
            self.sample = tuple(cell[:200] for cell in cells[:_SAMPLE])
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
        if self.counts is not None:
            self.counts.update(stripped)
            if len(self.counts) > MAX_COUNTED + 1 or longest > _LONGEST_COUNTED:
                self.hashes = set(map(hash, self.counts))
                self.counts = None
        elif len(self.hashes) <= self.max_distinct:
            self.hashes.update(map(hash, stripped))

    def finish(self) -> None:
        """The empty value is no value."""
        if self.counts is not None:
            del self.counts[""]
            if len(self.counts) > MAX_COUNTED:
                self.hashes = set(map(hash, self.counts))
                self.counts = None
        self.hashes.discard(hash(""))

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
            "counts": None if self.counts is None else dict(_most_common(self.counts)),
        }


class Profile:
    """The profiles of all columns, and a guess which holds the text and which the label."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        cap = max(MAX_COUNTED, min(_MAX_DISTINCT, _ALL_DISTINCT // len(names)))
        self.columns = [ColumnProfile(cap) for _ in names]

    def add(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        for profile, cells in zip(self.columns, columns, strict=True):
            profile.add(cells, lines)

    def finish(self) -> None:
        for column in self.columns:
            column.finish()

    def guess(self) -> tuple[str | None, str | None]:
        """(text column, label column): by name, else the longest text and the smallest repeated set of values.

        Never the same column, never one that looks like an id or a number; None where nothing fits.
        """
        by_name = dict(zip(self.names, self.columns, strict=True))
        filled = {name: column for name, column in by_name.items() if column.distinct}
        texts = {n: c for n, c in filled.items() if not _is_id(n, c) and not _is_numeric(c)}
        labels = {n: c for n, c in filled.items() if not _is_id(n, c)}
        text = _named(TEXT_NAMES, texts)
        others = {n: c for n, c in labels.items() if n != text}
        label = _named(LABEL_NAMES, {n: c for n, c in others.items() if _repeats(c, 1)})
        label = label or _named(LABEL_NAMES, others)
        if text is None:
            rest = {n: c for n, c in texts.items() if n != label}
            text = max(rest, key=lambda n: rest[n].mean_chars, default=None)
        if text is None:  # single words, none of them twice, are texts where nothing else is
            words = {n: c for n, c in filled.items() if n != label and not _is_numeric(c)}
            text = _named(TEXT_NAMES, words)
        if label is None:
            others.pop(text or "", None)
            repeated = {n: c for n, c in others.items() if _repeats(c, 2) and not _PART_NAME.fullmatch(n)}
            label = min(repeated, key=lambda n: repeated[n].distinct, default=None)
        return text, label

    def as_dict(self) -> dict[str, Any]:
        text, label = self.guess()
        columns = {name: column.as_dict() for name, column in zip(self.names, self.columns, strict=True)}
        return {"columns": columns, "text": text, "label": label}


def _most_common(counts: Counter[str]) -> list[tuple[str, int]]:
    """The TOP values; equally frequent ones by code point."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]


def _named(wanted: Sequence[str], columns: dict[str, ColumnProfile]) -> str | None:
    """The column with the first of the wanted names; else one that has it as a word ("review text")."""
    plain = {name: re.sub(r"[\W_]+", "_", name.casefold()).strip("_") for name in columns}
    for want in wanted:
        for name, simple in plain.items():
            if simple == want:
                return name
    for want in wanted:
        for name, simple in plain.items():
            if len(want) > 1 and want in simple.split("_"):
                return name
    return None


def _is_id(name: str, column: ColumnProfile) -> bool:
    """An id by its name, or single words or numbers of which none comes twice."""
    if _ID_NAME.fullmatch(name.strip()) or _CAMEL_ID.fullmatch(name.strip()):
        return True
    if column.rows < 20 or column.distinct < min(column.rows - column.empty, column.max_distinct):
        return False
    return not any(_WORDS.search(cell.strip()) for cell in column.sample)


def _is_numeric(column: ColumnProfile) -> bool:
    filled = [cell for cell in column.sample if cell.strip()]
    return bool(filled) and sum(bool(_NUMBER.fullmatch(cell.strip())) for cell in filled) > 0.9 * len(filled)


_NUMBER = re.compile(r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?%?")


def _repeats(column: ColumnProfile, least: int) -> bool:
    """At least so many values, and few enough to be classes, each there about twice or more."""
    filled = column.rows - column.empty
    return column.counts is not None and least <= len(column.counts) <= max(2, filled // 2)
