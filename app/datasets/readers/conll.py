"""CoNLL files: a token and its tag on each line, a blank line behind each sentence.

The token is the first column, the tag the last; tabs or runs of spaces stand between them. `-DOCSTART-` lines and,
before a sentence, lines that begin with "# " (CoNLL-U's comments) are skipped.
https://www.clips.uantwerpen.be/conll2003/ner/ A file that is to be tagged may have the tokens alone.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding, warning
from app.datasets.profile import Profile
from app.datasets.readers.source import MAX_CELL, Block, Faults, Lines, in_blocks

TOKENS, TAGS = "tokens", "tags"
_TAG = re.compile(r"O|[BIESLUbieslu][-_]\S+")
_HELP = "Write a token and its tag on each line, and a blank line behind each sentence."
_LEAST_LINES = 3
_LONG_SENTENCE = 1000
_LONG_TOKEN = 12  # letters, on average
_WORD_NUMBER = re.compile(r"\d+(?:[-.]\d+)?")


@dataclass
class Sentence:
    """A sentence under way; `line` is where it begins."""

    line: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    chars: int = 0

    def add(self, token: str, tag: str) -> None:
        """Raises Invalid for a sentence that does not end."""
        self.tokens.append(token)
        self.tags.append(tag)
        self.chars += len(token) + len(tag) + 8
        if self.chars > MAX_CELL:
            raise Invalid(
                f"The sentence that begins in line {self.line} does not end within {MAX_CELL // 2**20} MB. "
                "Check that something separates the sentences.",
                [{"where": f"line {self.line}", "message": "begins a sentence that is too long"}],
                kind="conll",
            )

    def cells(self) -> tuple[str, str]:
        """The columns `tokens` and `tags`: JSON lists."""
        return as_list(self.tokens), as_list(self.tags)


def as_list(values: list[str]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def is_tag(text: str) -> bool:
    """Whether it is O or a BIO tag, as B-LOC; IOBES and BILOU are too."""
    return _TAG.fullmatch(text) is not None


class Conll:
    """One row a sentence: `tokens` and `tags` as JSON lists of equal length."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.names = [TOKENS, TAGS]
        self._lines = Lines(path, encoding)
        self._faults = Faults("conll", _HELP)
        self._longest = (0, 0)  # tokens, line
        self._all_count = True  # each sentence's tokens are 1, 2, 3, …

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def close(self) -> None:
        self._lines.close()

    def blocks(self) -> Iterator[Block]:
        return in_blocks(self._rows(), len(self.names))

    def _rows(self) -> Iterator[tuple[tuple[str, str], int]]:
        sentence: Sentence | None = None
        width: tuple[int, int] | None = None  # columns, and the line that has them
        for number, fields in rows_of(self._lines):
            if fields is None:
                if sentence is not None:
                    yield self._ended(sentence)
                sentence = None
                continue
            if width is None and len(fields) > 1:
                width = (len(fields), number)
            if wrong := _wrong(fields, width):
                self._faults.add(number, wrong)
            elif not self._faults.found:
                sentence = sentence or Sentence(number)
                sentence.add(fields[0], fields[-1])
        self._faults.refuse()
        if sentence is not None:
            yield self._ended(sentence)

    def _ended(self, sentence: Sentence) -> tuple[tuple[str, str], int]:
        self._longest = max(self._longest, (len(sentence.tokens), sentence.line))
        self._all_count = self._all_count and _count(sentence.tokens)
        return sentence.cells(), sentence.line

    def check(self, profile: Profile) -> None:
        if not profile.rows:
            raise Invalid(f"The file has no rows: no line has a token with a tag. {_HELP}", kind="no_rows")
        if self._all_count and self._longest[0] > 1:
            raise Invalid(
                "The first column counts the words (1, 2, 3, …), as in CoNLL-U, so no column of tokens is where it is "
                "looked for. Keep the token as the first column and its tag as the last.",
                kind="conll",
            )

    def warnings(self, profile: Profile) -> list[Finding]:
        tokens, line = self._longest
        if tokens <= _LONG_SENTENCE:
            return []
        message = (
            f"The sentence that begins in line {line} has {tokens:,} tokens. If it is more than one, separate them by "
            "blank lines."
        )
        return [warning(f"line {line}", message)]

    def used(self) -> dict[str, Any]:
        return {"format": "conll", "delimiter": None, "header": None}


class BareTokens:
    """A CoNLL file whose tokens have no tags yet: one token a line. One row a token, as in the file: `sentence` (a number
    from 1) and `token`."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.names = ["sentence", "token"]
        self._lines = Lines(path, encoding)
        self._faults = Faults("conll", "Write one token on each line, and a blank line behind each sentence.")

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def close(self) -> None:
        self._lines.close()

    def blocks(self) -> Iterator[Block]:
        return in_blocks(self._rows(), len(self.names))

    def _rows(self) -> Iterator[tuple[tuple[str, str], int]]:
        sentence, between = 0, True
        for number, fields in rows_of(self._lines):
            if fields is None:
                between = True
                continue
            if len(fields) > 1:
                self._faults.add(number, f"has {len(fields)} columns where the lines above have one")
                continue
            sentence, between = sentence + between, False
            yield (str(sentence), fields[0]), number
        self._faults.refuse()

    def check(self, profile: Profile) -> None:
        if not profile.rows:
            raise Invalid("The file has no rows: no line has a token.", kind="no_rows")

    def warnings(self, profile: Profile) -> list[Finding]:
        return []

    def used(self) -> dict[str, Any]:
        return {"format": "token_rows", "delimiter": None, "header": None}


def rows_of(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str] | None]]:
    """(line, its columns), or (line, None) for what stands between two sentences; comments are left out."""
    inside, width = False, 2
    for number, line in lines:
        if not line.strip(" \t") or line.startswith("-DOCSTART-"):
            inside = False
            yield number, None
            continue
        fields = columns_of(line)
        if not inside and _is_comment(line, fields, width):
            continue
        inside, width = True, len(fields)
        yield number, fields


def columns_of(line: str) -> list[str]:
    """Cut at tabs, or where there is none at runs of spaces: no other white space, for a token may be a no-break space."""
    if "\t" in line:
        return [cell.strip(" ") for cell in line.split("\t")]
    return [cell for cell in line.split(" ") if cell]


def _is_comment(line: str, fields: list[str], width: int) -> bool:
    """ "# text = …", and not the token "#" with its tag: `width` is that of the last token's line."""
    if line == "#":
        return True
    is_token = "\t" not in line and len(fields) == width and is_tag(fields[-1])
    return line.startswith("# ") and not is_token


def _count(tokens: list[str]) -> bool:
    return tokens[0].startswith("1") and all(_WORD_NUMBER.fullmatch(token) for token in tokens)


def _wrong(fields: list[str], width: tuple[int, int] | None) -> str | None:
    if len(fields) == 1 or not fields[-1]:
        return "has a token but no tag" if fields[0] else "has neither token nor tag"
    if not fields[0]:
        return "has a tag but no token"
    if width is not None and len(fields) != width[0]:
        return f"has {len(fields)} columns where line {width[1]} has {width[0]}"
    return None


def looks_like(lines: Iterable[str]) -> bool:
    """Whether the head of a file is surely one: each line has as many columns and ends in a BIO tag."""
    count, widths = 0, set()
    for _, fields in rows_of(enumerate(lines, 1)):
        if fields is not None:
            count += 1
            widths.add(len(fields))
            if len(widths) > 1 or len(fields) < 2 or not is_tag(fields[-1]):
                return False
    return count >= _LEAST_LINES


def looks_bare(lines: Iterable[str], named: bool) -> bool:
    """Whether the head of a file is one token a line without tags. `named`: the file's name says that it is CoNLL.

    Where it does not, lines of text that have no spaces (Chinese) must not be taken for tokens: there have to be blank
    lines between sentences, and tokens are short.
    """
    tokens: list[str] = []
    sentences, between = 0, True
    for _, fields in rows_of(enumerate(lines, 1)):
        if fields is None:
            between = True
        elif len(fields) > 1:
            return False
        else:
            tokens.append(fields[0])
            sentences, between = sentences + between, False
    short = 1 < sentences <= len(tokens) / 2 and sum(map(len, tokens)) <= _LONG_TOKEN * len(tokens)
    return bool(tokens) and (named or short)
