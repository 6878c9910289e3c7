"""The cell of a tagging data set with other entities in a part of its sentence, written as its column is written."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.spec import RunSpec
from app.datasets import bio
from app.tasks.base import column_of
from app.tasks.sentences import Sentence, Unreadable, listed, strings_of, text_with_spans, tokens_with_tags


@dataclass(frozen=True)
class Style:
    """How a column writes tags. `bare`: types alone; `single`: the prefix of an entity of one token, `last`: that of the last of several."""

    bare: bool = False
    single: str = "B"
    last: str = "I"


def entities_column(spec: RunSpec) -> str:
    """The column that says the entities."""
    return column_of(spec, "spans" if "spans" in spec.columns else "tags")


def style_of(cells: Iterable[str]) -> Style:
    """Out of the cells of a whole column, all readable. Other schemes than BIO keep their signs (BIOES, BILOU, BMEWO)."""
    tags = {tag.strip() for cell in set(cells) for tag in strings_of(cell)}
    if bio.OUTSIDE in tags and not any(map(bio.is_prefixed, tags)):
        return Style(bare=True)
    prefixes = {tag[0] for tag in tags if bio.is_prefixed(tag)}
    single = next((sign for sign in "SUW" if sign in prefixes), "B")
    return Style(single=single, last=next((sign for sign in "EL" if sign in prefixes), "I"))


def with_tags(
    cell: str, first: int, behind: int, entities: Sequence[bio.Entity], style: Style = Style()
) -> str:
    """The cell of tags with these entities, and no others, at its tokens first … behind."""
    tags = strings_of(cell)
    tags[first:behind] = [bio.OUTSIDE] * (behind - first)
    for start, end, kind in entities:
        if style.bare:
            tags[start:end] = [kind] * (end - start)
        elif end - start == 1:
            tags[start] = f"{style.single}-{kind}"
        else:
            tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 2), f"{style.last}-{kind}"]
    if not cell.lstrip().startswith("["):
        return " ".join(tags)
    return _as_before(cell, tags)


def with_spans(cell: str, sentence: Sentence, first: int, behind: int, entities: Sequence[bio.Entity]) -> str:
    """The cell of spans with these entities, and no others, at the sentence's tokens first … behind; the others stay as they are."""
    items, places, text = listed(cell) or [], sentence.places, sentence.string
    start, end = places[first][0], places[behind - 1][1]
    kept = [item for item in items if not start <= edges(item)[0] < end]
    quoted = any(isinstance(item, dict) and "text" in item for item in items)
    for begin, over, kind in entities:
        low, high = places[begin][0], places[over - 1][1]
        if items and isinstance(items[0], list):
            kept.append([low, high, kind])
        else:
            kept.append(
                {"start": low, "end": high, "label": kind} | ({"text": text[low:high]} if quoted else {})
            )
    kept.sort(key=edges)
    return _as_before(cell, kept)


def fault_of(spec: RunSpec, first: str, cell: str) -> str | None:
    """Why `cell` can't stand beside the cell of tokens (or of the text) `first`; None if it can."""
    try:
        if "spans" in spec.columns:
            text_with_spans(first, cell)
            return None
        tags = tokens_with_tags(first, cell).tags
        if any(map(bio.is_prefixed, tags)):
            bio.to_bio(tags)
    except (Unreadable, bio.Faulty) as fault:
        return str(fault)
    return None


def edges(item: Any) -> tuple[int, int]:
    """Of a span as it is written."""
    if isinstance(item, dict):
        return item["start"], item["end"]
    return item[0], item[1]


def _as_before(cell: str, items: list[Any]) -> str:
    """A list in the notation of the cell: JSON, with or without spaces, or Python's."""
    try:
        json.loads(cell)
    except ValueError:
        return repr(items)
    return json.dumps(items, ensure_ascii=False, separators=(", ", ": ") if ", " in cell else (",", ":"))
