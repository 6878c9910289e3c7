"""Texts with their entities as the pages show them: pieces of text, each with a type and a colour, or plain."""

import json
import re
from collections.abc import Sequence
from typing import Any, TypedDict

COLOURS = 8  # the classes ent-0 … ent-7 of app.css
MOST_TOKENS = 80
MOST_CHARS = 400
_BIO = re.compile(r"([BIESLU])[-_](.+)", re.IGNORECASE | re.DOTALL)
# Scripts that are written without spaces between the words.
_CLOSED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


class Segment(TypedDict):
    """A piece of text; `type` None: no entity. `colour`: 0 … COLOURS - 1, one for each type."""

    text: str
    type: str | None
    colour: int


class Palette:
    """A colour for each type, in the order in which they appear; after COLOURS they repeat."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}

    def segment(self, text: str, type_: str | None = None) -> Segment:
        if type_ is None:
            return {"text": text, "type": None, "colour": 0}
        return {
            "text": text,
            "type": type_,
            "colour": self._colours.setdefault(type_, len(self._colours)) % COLOURS,
        }


def of_tokens(tokens: Sequence[str], tags: Sequence[str], palette: Palette) -> list[Segment]:
    """Tokens joined to a text, entities by their BIO tags; a tag of another kind marks its token alone."""
    pieces: list[tuple[str, str | None]] = []
    for token, tag in zip(tokens, tags, strict=False):
        found = _BIO.fullmatch(tag)
        type_ = found[2] if found else None if tag in ("O", "_", "") else tag
        goes_on = found is not None and found[1].upper() in "IEL"
        before, type_before = pieces[-1] if pieces else ("", None)
        gap = between(before, token) if pieces else ""
        if pieces and type_ == type_before and (goes_on or type_ is None):
            pieces[-1] = (before + gap + token, type_)
        elif type_ is None:
            pieces.append((gap + token, None))
        else:
            pieces += [(gap, None), (token, type_)]
    return [palette.segment(text, type_) for text, type_ in pieces if text]


def of_spans(text: str, spans: Sequence[dict[str, Any]], palette: Palette) -> list[Segment]:
    """A text cut at its spans (code points); a span that overlaps an earlier one, or lies outside, is passed over."""
    segments, place = [], 0
    for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
        start, end = span["start"], span["end"]
        if not place <= start < end <= len(text):
            continue
        if start > place:
            segments.append(palette.segment(text[place:start]))
        segments.append(palette.segment(text[start:end], str(span.get("label", ""))))
        place = end
    if place < len(text):
        segments.append(palette.segment(text[place:]))
    return segments


def preview(items: Sequence[dict[str, Any]], roles: dict[str, str]) -> list[dict[str, list[Segment]]]:
    """For each row {column: segments} of the columns that are better shown marked than as JSON.

    `items`: rows as `DatasetStore.rows` gives them; `roles`: the guesses of the profile.
    """
    palette = Palette()
    return [_marked(item["cells"], roles, palette) for item in items]


def _marked(cells: dict[str, str], roles: dict[str, str], palette: Palette) -> dict[str, list[Segment]]:
    marked: dict[str, list[Segment]] = {}
    tokens, tags = _texts(cells, roles.get("tokens")), _texts(cells, roles.get("tags"))
    if tokens is not None and tags is not None and len(tokens) == len(tags):
        more = [palette.segment(" …")] if len(tokens) > MOST_TOKENS else []
        marked[roles["tokens"]] = of_tokens(tokens[:MOST_TOKENS], tags[:MOST_TOKENS], palette) + more
        marked[roles["tags"]] = [palette.segment(" ".join(tags[:MOST_TOKENS])), *more]
    spans = _json_list(cells, roles.get("spans"))
    text = cells.get(roles.get("text", ""))
    if text and spans and all(_is_span(span) for span in spans):
        cut = [span for span in spans if span["end"] <= MOST_CHARS]
        more = [palette.segment(" …")] if len(text) > MOST_CHARS else []
        marked[roles["text"]] = of_spans(text[:MOST_CHARS], cut, palette) + more
    return marked


def _texts(cells: dict[str, str], column: str | None) -> list[str] | None:
    found = _json_list(cells, column)
    return None if found is None else list(map(str, found))


def _json_list(cells: dict[str, str], column: str | None) -> list[Any] | None:
    try:
        found = json.loads(cells.get(column or "") or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _is_span(span: Any) -> bool:
    return isinstance(span, dict) and all(type(span.get(edge)) is int for edge in ("start", "end"))


def between(before: str, after: str) -> str:
    return "" if _CLOSED.match(before[-1:]) and _CLOSED.match(after) else " "
