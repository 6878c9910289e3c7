"""The cells of a tagging data set as sentences: tokens with tags, or a text with the spans of its entities."""

import ast
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from app.datasets import bio
from app.tasks.words import Span, words_of


@dataclass(frozen=True)
class Sentence:
    """Tokens and their BIO tags, equally many. `text`: what the tokens stand in, at `starts`; None: nothing but the
    tokens is known, so the text is the tokens joined by single spaces."""

    tokens: list[str]
    tags: list[str]
    text: str | None = None
    starts: list[int] | None = None

    @property
    def string(self) -> str:
        return " ".join(self.tokens) if self.text is None else self.text

    @property
    def places(self) -> list[Span]:
        """Where each token stands in `string`, in code points."""
        if self.starts is not None:
            return [(at, at + len(token)) for at, token in zip(self.starts, self.tokens, strict=True)]
        return joined_places(self.tokens)

    @cached_property
    def types(self) -> list[str]:
        """The types of its entities, each once, ordered."""
        return sorted({tag[2:] for tag in self.tags if tag != bio.OUTSIDE})


class Unreadable(Exception):
    """Why a cell is no list of tokens, tags or spans, in words that go on after "line 5: "."""


def joined_places(tokens: list[str]) -> list[Span]:
    """Where each of the tokens stands when single spaces join them, in code points."""
    places, at = [], 0
    for token in tokens:
        places.append((at, at + len(token)))
        at += len(token) + 1
    return places


def words_in(text: str) -> Sentence:
    """The words of a text that nobody has tagged, all O."""
    places = words_of(text)
    return Sentence(
        [text[start:end] for start, end in places],
        [bio.OUTSIDE] * len(places),
        text,
        [start for start, _ in places],
    )


def strings_of(cell: str) -> list[str]:
    """A list of strings out of a cell: JSON, Python's notation of a list, or words with spaces between them.

    Raises Unreadable.
    """
    if not cell.lstrip().startswith("["):
        return cell.split()
    found = listed(cell)
    if found is None:
        if cell.lstrip().startswith(("['", '["')):
            raise Unreadable(
                'begins like a list and is none; write it as JSON: ["New", "York"], or with spaces between the words'
            )
        return cell.split()
    for place, item in enumerate(found, 1):
        if not isinstance(item, str):
            raise Unreadable(
                f"has {json.dumps(item, default=str)[:40]} in place {place}, which is no string; put it in quotes, "
                'and write tags by name, as "B-LOC"'
            )
    return found


def tokens_with_tags(tokens: str, tags: str) -> Sentence:
    """Tags as they are written. Raises Unreadable."""
    found, marks = strings_of(tokens), [tag.strip() for tag in strings_of(tags)]
    if len(found) != len(marks):
        raise Unreadable(f"has {len(found):,} tokens and {len(marks):,} tags; each token needs one tag")
    if "" in found:
        raise Unreadable(f"has an empty token in place {found.index('') + 1}; remove it and its tag")
    return Sentence(found, marks)


def text_with_spans(text: str, cell: str) -> Sentence:
    """The words of `text` with BIO tags out of a cell of spans; no word reaches over the edge of a span.

    Spans: [{"start": 0, "end": 6, "label": "LOC"}] or [[0, 6, "LOC"]], in code points, the end exclusive; "text" may
    repeat what stands there and is compared. Raises Unreadable.
    """
    spans = sorted(_span(item, text) for item in _span_items(cell))
    for one, other in pairwise(spans):
        if other[0] < one[1]:
            raise Unreadable(
                f"has spans that overlap: {_shown(text, *one)} and {_shown(text, *other)}; a token has one tag, so "
                "keep one of them"
            )
    places = words_of(text, (edge for start, end, _ in spans for edge in (start, end)))
    found: list[bio.Entity] = []
    at = 0
    for start, end, label in spans:
        while at < len(places) and places[at][0] < start:
            at += 1
        first = at
        while at < len(places) and places[at][0] < end:
            at += 1
        if first == at:
            raise Unreadable(f"has the span {start} to {end} ({label}) on white space alone; remove it")
        found.append((first, at, label))
    tokens = [text[start:end] for start, end in places]
    return Sentence(tokens, bio.tags_of(found, len(tokens)), text, [start for start, _ in places])


def _span_items(cell: str) -> list[Any]:
    found = listed(cell)
    if found is None:
        raise Unreadable(
            'is no list; write spans as [{"start": 0, "end": 6, "label": "LOC"}], and [] for none'
        )
    return found


def _span(item: Any, text: str) -> tuple[int, int, str]:
    """One span, as far as it can be judged alone. Raises Unreadable."""
    quoted = None
    if isinstance(item, dict) and {"start", "end", "label"} <= item.keys():
        start, end, label, quoted = item["start"], item["end"], item["label"], item.get("text")
    elif isinstance(item, list) and len(item) == 3:
        start, end, label = item
    else:
        shown = json.dumps(item, ensure_ascii=False, default=str)[:80]
        raise Unreadable(f'has the span {shown}; a span needs "start", "end" and "label"')
    if not all(isinstance(edge, int) and not isinstance(edge, bool) for edge in (start, end)):
        raise Unreadable(f"has a span from {start!r} to {end!r}; start and end must be whole numbers")
    if not isinstance(label, str) or not label.strip():
        raise Unreadable(f"has a span from {start} to {end} without a label")
    if start >= end:
        raise Unreadable(
            f"has the span {start} to {end} ({label}), which is empty; its end must be behind its start"
        )
    if start < 0 or end > len(text):
        raise Unreadable(
            f"has the span {start} to {end} ({label}) outside of its text, which has {len(text):,} characters; count "
            "code points from 0"
        )
    if isinstance(quoted, str) and quoted != text[start:end]:
        raise Unreadable(
            f"has the span {start} to {end} for {quoted[:40]!r}, but there stands {text[start:end][:40]!r}; count code "
            "points (not bytes) from 0"
        )
    return start, end, label.strip()


def _shown(text: str, start: int, end: int, label: str) -> str:
    return f"{start} to {end} ({label}, {text[start:end][:30]!r})"


def listed(cell: str) -> list[Any] | None:
    """A list in JSON, or as Python writes it (what pandas puts into a CSV); None for anything else."""
    found: Any = None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return found if isinstance(found, list) else None
