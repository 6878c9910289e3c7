"""A table with one token a row: its rows become sentences.

A column says which sentence a token belongs to; an empty cell there means the sentence of the row above, as in
Kaggle's "Sentence #".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise, repeat
from typing import Any

from app.core.errors import Invalid
from app.datasets.findings import Finding, warning
from app.datasets.profile import Profile
from app.datasets.readers.conll import TAGS, TOKENS, Sentence, is_tag
from app.datasets.readers.csv_table import CsvTable
from app.datasets.readers.source import Block, Faults, in_blocks

SENTENCE_NAMES = ("sentence_id", "sent_id", "sentence_number", "sentence_idx", "sentence")
TOKEN_NAMES = ("token", "tokens", "word", "words")
TAG_NAMES = ("ner_tag", "ner_tags", "tag", "tags", "ner", "label")
_TELL_EVERY = 8 * 2**20  # bytes
_HELP = "Write one token with its tag on each row."


@dataclass(frozen=True)
class Places:
    """Which columns hold the sentence, the token and its tag; from 0."""

    sentence: int
    token: int
    tag: int


def places(names: Sequence[str]) -> Places | None:
    """None unless all three are there by name."""
    sentence, token, tag = _found(names, SENTENCE_NAMES, TOKEN_NAMES, TAG_NAMES)
    return None if sentence is None or token is None or tag is None else Places(sentence, token, tag)


def token_places(names: Sequence[str]) -> tuple[int, int] | None:
    """Which columns hold the sentence and the token, tags or not; None unless both are there by name."""
    sentence, token = _found(names, SENTENCE_NAMES, TOKEN_NAMES)
    return None if sentence is None or token is None else (sentence, token)


def _found(names: Sequence[str], *wanted: Sequence[str]) -> list[int | None]:
    plain = [re.sub(r"[\W_]+", "_", name.casefold()).strip("_") for name in names]
    return [next((plain.index(name) for name in one if name in plain), None) for one in wanted]


def looks_like(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table has one token a row, by its columns' names and its first rows.

    Lists in the cells are sentences already. A column `label` beside `sentence` and `word` may also judge the word in
    its sentence, so it needs BIO tags.
    """
    where = places(names)
    rows = [row for row in rows if len(row) == len(names)]
    if where is None or not rows or any(row[where.token].startswith(('["', "['")) for row in rows):
        return False
    return names[where.tag].strip().casefold() != "label" or all(
        is_tag(row[where.tag].strip()) for row in rows
    )


def looks_bare(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table that is to be tagged has one token a row: by its columns' names, because neighbours share a
    sentence, and because hardly a token has a space in it."""
    where = token_places(names)
    rows = [row for row in rows if len(row) == len(names)]
    if where is None or not rows:
        return False
    sentences, tokens = ([row[place].strip() for row in rows] for place in where)
    single = sum(" " not in token and not token.startswith(('["', "['")) for token in tokens)
    shared = any(not later or later == earlier for earlier, later in pairwise(sentences))
    return shared and single >= 0.9 * len(tokens)


class TokenRows(CsvTable):
    """A table to be tagged with one token a row: its rows as they are."""

    def check(self, profile: Profile) -> None:
        self.check_rows(profile.rows)  # the header is one: its names have been recognised

    def used(self) -> dict[str, Any]:
        return {**super().used(), "format": "token_rows"}


class TokenTable:
    """One row a sentence: `tokens`, `tags`, and the other columns that have one value in each sentence.

    Where there are other columns, `open_table` is called twice: the first time through shows which of them vary
    (`progress` is then called with half the bytes read). Raises Invalid for a table without the three columns.
    """

    def __init__(self, open_table: Callable[[], CsvTable], progress: Callable[[int], None]) -> None:
        self._faults = Faults("tokens", _HELP)
        self._varying: set[int] = set()
        self._scanned: int | None = None
        self._table = open_table()
        try:
            self._where = _places_of(self._table.names)
            others = [place for place in range(len(self._table.names)) if place not in astuple(self._where)]
            self._others = others
            if others:
                self._scan(progress)
                self._table.close()
                self._table = open_table()
        except BaseException:
            self._table.close()
            raise
        names = self._table.names
        self._dropped = [
            names[place] for place in others if place in self._varying or names[place] in (TOKENS, TAGS)
        ]
        self._kept = [place for place in others if names[place] not in self._dropped]
        self.names = [TOKENS, TAGS, *(names[place] for place in self._kept)]

    def _scan(self, progress: Callable[[int], None]) -> None:
        told = count = 0
        for _ in self._sentences():
            count += 1
            if self._table.bytes_read - told >= _TELL_EVERY:
                told = self._table.bytes_read
                progress(told // 2)
        self._table.check_rows(count)
        self._faults.refuse()
        self._scanned = self._table.bytes_read

    @property
    def bytes_read(self) -> int:
        if self._scanned is None:
            return self._table.bytes_read
        return (self._scanned + self._table.bytes_read) // 2

    def close(self) -> None:
        self._table.close()

    def blocks(self) -> Iterator[Block]:
        kept = [self._others.index(place) for place in self._kept]
        rows = (
            ((*sentence.cells(), *(values[place] for place in kept)), sentence.line)
            for sentence, values in self._sentences()
        )
        return in_blocks(rows, len(self.names))

    def _sentences(self) -> Iterator[tuple[Sentence, list[str]]]:
        """Each sentence with the other columns' values; notes which of those vary inside a sentence."""
        where, current, name = self._where, None, ""
        values: list[str] = []
        for block in self._table.blocks():
            columns = block.columns
            others = (
                zip(*(columns[place] for place in self._others), strict=True) if self._others else repeat(())
            )
            cells = zip(
                block.lines,
                columns[where.sentence],
                columns[where.token],
                columns[where.tag],
                others,
                strict=False,
            )
            for line, begins, token, tag, more in cells:
                begins, token, tag = begins.strip(), token.strip(), tag.strip()
                if current is None or (begins and begins != name):
                    if current is not None:
                        yield current, values
                    current, name, values = Sentence(line), begins, list(more)
                if not token or not tag:
                    self._faults.add(line, _wrong(token, tag))
                elif not self._faults.found:
                    current.add(token, tag)
                for place, value in enumerate(more):
                    if value and value != values[place]:
                        if values[place]:
                            self._varying.add(self._others[place])
                        values[place] = value
        if current is not None:
            yield current, values

    def check(self, profile: Profile) -> None:
        self._table.check_rows(profile.rows)
        self._faults.refuse()

    def warnings(self, profile: Profile) -> list[Finding]:
        found = self._table.row_warnings()
        if self._dropped:
            several = len(self._dropped) > 1
            found.append(
                warning(
                    f"column{'s' if several else ''} {', '.join(self._dropped[:10])}",
                    f"Left out: the value{'s' if several else ''} change{'' if several else 's'} inside a sentence, and a "
                    "row is now a whole sentence.",
                )
            )
        return found

    def used(self) -> dict[str, Any]:
        return {**self._table.used(), "format": "tokens"}


def _places_of(names: Sequence[str]) -> Places:
    found = places(names)
    if found is None:
        raise Invalid(
            "A table with one token a row needs three columns: the sentence (called sentence or sentence_id), the token "
            f"(token or word) and its tag (tag or ner_tag). There are: {', '.join(names[:10])}.",
            kind="tokens",
        )
    return found


def _wrong(token: str, tag: str) -> str:
    if token:
        return "has a token but no tag"
    return "has a tag but no token" if tag else "has neither token nor tag"
