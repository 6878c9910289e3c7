"""The view in which entities are marked: the columns it reads, the types on offer, and a row as words with its entities."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.errors import NotFound
from app.datasets import bio
from app.datasets.journal import Pending
from app.tasks.sentences import (
    Sentence,
    Unreadable,
    listed,
    strings_of,
    text_with_spans,
    tokens_with_tags,
    words_in,
)
from app.tasks.tag_cells import edges
from app.web.entities import between
from app.web.services import Services
from app.web.table import require_ready

LOOKED_AT = 1000  # rows whose types are offered; another one can be typed
MOST_TYPES = 200
MOST_WORDS = 5000  # of a row on the page

# BIO tags, a type for each token (neighbours of one type are one entity), or places in a text.
Scheme = Literal["bio", "types", "spans"]


@dataclass(frozen=True)
class Columns:
    """`marks`: of the tags or the spans, None where there is no such column yet. `words`: of the tokens or the text, None: no text."""

    words: str | None
    marks: str | None
    spans: bool


@dataclass(frozen=True)
class Setup:
    """`types`: the commonest first."""

    columns: Columns
    scheme: Scheme
    types: list[str]

    def as_dict(self) -> dict[str, Any]:
        """What the script goes by."""
        return {"column": self.columns.marks, "scheme": self.scheme, "types": self.types}


def columns_of(view: Mapping[str, Any], words: str = "", marks: str = "") -> Columns:
    """As asked, else by the roles that the columns look like. Raises Conflict unless the data set is ready."""
    require_ready(view)
    columns, profile = view["columns"] or [], view["profile"] or {}
    roles = profile.get("roles", {})
    tokens = roles.get("tokens")
    found_words = words if words in columns else tokens or roles.get("text") or profile.get("text")
    in_tokens = tokens is not None and found_words == tokens
    found_marks = marks if marks in columns else roles.get("tags" if in_tokens else "spans")
    about = (profile.get("columns") or {}).get(found_marks) or {}
    are_spans = found_marks == roles.get("spans") or about.get("shape") in ("spans", "empty")
    has_tags = bool(about.get("distinct")) and not are_spans
    return Columns(found_words, found_marks, spans=not in_tokens and not has_tags)


def setup(services: Services, view: Mapping[str, Any], columns: Columns) -> Setup:
    if columns.marks is None or columns.words is None:
        return Setup(columns, "spans" if columns.spans else "bio", [])
    page = services.datasets.rows(view["id"], 0, LOOKED_AT, view["version"])
    rows = [item["cells"] for item in page["items"]] + _changed(services.edits.pending(view["id"]))
    if columns.spans:
        sentences = [_read(columns, row) for row in rows]
        counts = Counter(kind for one, _ in sentences for kind in one.types)
        return Setup(columns, "spans", _commonest(counts))
    tags = [tag for row in rows for tag in _tags(row.get(columns.marks, ""))]
    bare = not any(map(bio.is_prefixed, tags)) and any(tag != bio.OUTSIDE for tag in tags)
    counts = Counter(tag if bare else tag[2:] for tag in tags if tag != bio.OUTSIDE)
    return Setup(columns, "types" if bare else "bio", _commonest(counts))


def of_row(services: Services, view: Mapping[str, Any], columns: Columns, row: int) -> dict[str, Any]:
    """{"row_id", "words": [{"text", "before", "start", "end"}], "entities": [[first word, behind the last, type]], "spans", "marked", "fault"}.

    As it is with the edits. `before`: what stands between a word and the one before it; `start`, `end`: in code points of the text,
    or of the tokens joined by spaces. `spans`: where entities are spans, each as it is written, in the order of `entities`, else [].
    `marked`: whether its cell says something; `fault`: why that can't be read, "" if it can, and
    then `entities` is empty. Raises NotFound for a row or a column that is not there.
    """
    if columns.words is None or columns.marks is None:
        raise NotFound(f"{view['name']} has no columns of texts and entities.")
    found = services.edits.rows(view["id"], [row])
    if not found:
        raise NotFound(f"Row {row} is gone. Look at the rows again.")
    cells = found[0]["cells"]
    sentence, fault = _read(columns, cells)
    words: list[dict[str, Any]] = []
    behind = 0
    for word, (start, end) in list(zip(sentence.tokens, sentence.places, strict=True))[:MOST_WORDS]:
        gap = sentence.string[behind:start]
        if not columns.spans and words:
            gap = between(words[-1]["text"], word)
        words.append({"text": word, "before": gap, "start": start, "end": end})
        behind = end
    if len(sentence.tokens) > MOST_WORDS:
        fault = f"has {len(sentence.tokens):,} words, too many to mark here; cut it into sentences"
    return {
        "row_id": row,
        "words": words,
        "spans": sorted(listed(cells[columns.marks]) or [], key=edges) if columns.spans and not fault else [],
        "entities": [] if fault else [list(one) for one in bio.entities(sentence.tags)],
        "marked": bool(cells[columns.marks].strip()),
        "fault": fault,
    }


def _read(columns: Columns, cells: Mapping[str, str]) -> tuple[Sentence, str]:
    """The row, and what is wrong with it: then without entities."""
    first, second = cells.get(columns.words or "", ""), cells.get(columns.marks or "", "")
    if columns.spans:
        try:
            return (text_with_spans(first, second) if second.strip() else words_in(first)), ""
        except Unreadable as fault:
            return words_in(first), f"column {columns.marks} {fault}"
    try:
        tokens = strings_of(first)
    except Unreadable as fault:
        return Sentence([], []), f"column {columns.words} {fault}"
    outside = [bio.OUTSIDE] * len(tokens)
    if not second.strip():
        return Sentence(tokens, outside), ""
    try:
        tags = tokens_with_tags(first, second).tags
        bare = not any(map(bio.is_prefixed, tags))
        return Sentence(tokens, bio.of_types(tags) if bare else bio.to_bio(tags)), ""
    except Unreadable as fault:
        return Sentence(tokens, outside), f"column {columns.marks} {fault}"
    except bio.Faulty as fault:
        return Sentence(tokens, outside), f"token {fault.place + 1} ({tokens[fault.place][:30]!r}) {fault}"


def _tags(cell: str) -> list[str]:
    try:
        return [tag.strip() for tag in strings_of(cell)]
    except Unreadable:
        return []


def _changed(pending: Pending) -> list[dict[str, str]]:
    return [dict(cells) for cells in (*pending.cells.values(), *pending.added.values())]


def _commonest(counts: Mapping[str, int]) -> list[str]:
    names: Sequence[str] = sorted(counts, key=lambda name: (-counts[name], name))
    return [name for name in names if name][:MOST_TYPES]
