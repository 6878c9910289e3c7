"""Text with its entities, or labels: what was found, missed, or marked where there is nothing."""

from itertools import pairwise
from typing import Any

from app.web.entities import COLOURS, between

Span = tuple[int, int, str]
ENTITIES = (("found", "found"), ("missed", "missed"), ("spurious", "marked, but no such entity"))
LABELS = (("found", "right"), ("missed", "missed"), ("spurious", "given, but wrong"))


def pieces(detail: dict[str, Any], colours: dict[str, int]) -> list[dict[str, Any]]:
    """[{"text", "kind": "" | "found" | "missed" | "spurious" | "both", "label", "title", "colour"}] in the order of the text.

    `detail`: {"tokens" | "text", "true": [[start, end, type]], "predicted"} of app.tasks.heldout; ends exclusive. An entity is found
    if start, end and type are right, as it is counted. "both": one was missed and another one marked here. `colours`: of the types.
    """
    units: list[str] = list(detail["text"]) if detail.get("characters") else detail["tokens"]
    true, predicted = _spans(detail.get("true")), _spans(detail.get("predicted"))
    found, missed, spurious = true & predicted, true - predicted, predicted - true
    edges = {0, len(units)} | {edge for start, end, _ in true | predicted for edge in (start, end)}
    bounds = sorted(edge for edge in edges if 0 <= edge <= len(units))
    shown = []
    for start, end in pairwise(bounds):
        here = (_at(found, start), _at(missed, start), _at(spurious, start))
        if not detail.get("characters") and start and (gap := between(units[start - 1], units[start])):
            shown.append({"text": gap, **_kind((None, None, None), start, colours)})
        shown.append({"text": _joined(units[start:end], detail), **_kind(here, start, colours)})
    return shown


def of_labels(true: list[str], predicted: list[str]) -> list[dict[str, Any]]:
    """The labels of a text as pieces: those that were found, missed, or given wrongly."""
    kinds = {label: "found" if label in predicted else "missed" for label in true}
    kinds |= {label: "spurious" for label in predicted if label not in kinds}
    return [
        {"text": label, "kind": kind, "label": "", "title": kind, "colour": 7}
        for label, kind in kinds.items()
    ]


def colours_of(types: list[str]) -> dict[str, int]:
    """Type → number of its colour."""
    return {name: place % COLOURS for place, name in enumerate(sorted(types))}


def _kind(
    here: tuple[Span | None, Span | None, Span | None], start: int, colours: dict[str, int]
) -> dict[str, Any]:
    """How a piece that begins at `start` is drawn; `here`: the found, missed and spurious entity that it lies in."""
    found, missed, spurious = here
    span = found or missed or spurious
    if span is None:
        return {"kind": "", "label": "", "title": "", "colour": 0}
    colour = colours.get(span[2], 0)
    if found:
        return {
            "kind": "found",
            "label": _first(found, start),
            "title": f"{found[2]}: found",
            "colour": colour,
        }
    if missed and spurious:
        names = dict.fromkeys([_first(missed, start), _first(spurious, start)])
        label = " → ".join(filter(None, names))
        title = f"{missed[2]}, marked as {spurious[2]}"
        if missed[2] == spurious[2]:
            title = f"{missed[2]}, marked with other ends"
        return {"kind": "both", "label": label, "title": title, "colour": colour}
    if missed:
        return {
            "kind": "missed",
            "label": _first(missed, start),
            "title": f"{missed[2]}: missed",
            "colour": colour,
        }
    title = f"marked as {span[2]}, but is none"
    return {"kind": "spurious", "label": _first(span, start), "title": title, "colour": colour}


def _first(span: Span, start: int) -> str:
    """The type stands at the beginning of its entity only."""
    return span[2] if span[0] == start else ""


def _at(spans: set[Span], start: int) -> Span | None:
    return next((span for span in sorted(spans) if span[0] <= start < span[1]), None)


def _spans(value: Any) -> set[Span]:
    return {(int(start), int(end), str(label)) for start, end, label in value or []}


def _joined(units: list[str], detail: dict[str, Any]) -> str:
    if detail.get("characters"):
        return "".join(units)
    gaps = ["", *(between(before, after) for before, after in pairwise(units))]
    return "".join(gap + unit for gap, unit in zip(gaps, units, strict=True))
