"""What is in the columns that a task learns from, as a small picture: how often each label is there, how the numbers
lie, or the first row where there is nothing to count."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app.datasets.column import TOP
from app.datasets.lists import labels_in
from app.tasks.base import Task
from app.web import pictures
from app.web.guess import Items
from app.web.services import Services

SAMPLE = 1000  # rows that are looked at where the profile has no counts
BINS, WIDTH, HEIGHT = 24, 240, 64
EXAMPLE_CHARS = 160
# A task that is judged by one of these learns a number.
_OF_NUMBERS = {"mae", "rmse"}

Columns = Mapping[str, str | list[str]]


def sample(services: Services, view: Mapping[str, Any]) -> Items:
    """The first rows of a data set that is ready."""
    items: Items = services.datasets.rows(view["id"], 0, SAMPLE)["items"]
    return items


def picture(task: Task, columns: Columns, view: Mapping[str, Any], items: Items) -> dict[str, Any]:
    """{"kind": "bars" | "numbers" | "many" | "example" | "none", …} for the columns chosen; `items`: the first rows.

    "of" says of which rows the counts are: "" for all of them.
    """
    profile: dict[str, Any] = (view["profile"] or {}).get("columns") or {}
    of = "" if view["rows"] <= len(items) else f"of the first {len(items):,} rows"
    label = columns.get("label", "")
    if marks := columns.get("tags") or columns.get("spans"):
        return _bars(_entities(_cells(items, str(marks))), of, "entities")
    if isinstance(label, list):
        counts = {name: ((profile.get(name) or {}).get("counts") or {}).get("1", 0) for name in label}
        return _bars(counts, "", "labels")
    if label and any(role.many for way in task.inputs for role in way):
        parts = (part for cell in _cells(items, label) for part in labels_in(cell))
        return _bars(Counter(parts), of, "labels")
    if label and _OF_NUMBERS & {metric.name for metric in task.judged_by}:
        return _numbers(_cells(items, label), of)
    if label:
        about = profile.get(label) or {}
        if not about.get("counts"):
            return {"kind": "many", "distinct": about.get("distinct") or 0}
        # The profile keeps the most frequent values only.
        cut = f"the {TOP} most frequent of {about['distinct']:,}" if about["distinct"] > TOP else ""
        return _bars(about["counts"], cut, "labels")
    if any(role.name == "label" for role in task.roles(columns)):
        return {"kind": "none"}
    rows = [
        (role, _cells(items[:1], name)) for role, name in columns.items() if isinstance(name, str) and name
    ]
    shown = [{"role": role, "text": cells[0][:EXAMPLE_CHARS]} for role, cells in rows if cells]
    return {"kind": "example", "rows": shown} if shown else {"kind": "none"}


def histogram(numbers: Sequence[float]) -> dict[str, Any]:
    """{"bars": [{"x", "y", "width", "height", "title"}], "low", "high", "mean"} in a field of WIDTH × HEIGHT."""
    low, high = min(numbers), max(numbers)
    bins = min(BINS, max(1, len(set(numbers))))
    step = (high - low) / bins or 1.0
    counts = Counter(min(bins - 1, int((number - low) / step)) for number in numbers)
    tallest = max(counts.values())
    each = WIDTH / bins
    bars = [
        {
            "x": round(place * each + 0.5, 2),
            "y": round(HEIGHT * (1 - count / tallest), 2),
            "width": round(each - 1, 2),
            "height": round(HEIGHT * count / tallest, 2),
            "title": f"{low + place * step:.3g} to {low + (place + 1) * step:.3g}: {count:,}",
        }
        for place, count in sorted(counts.items())
    ]
    return {"bars": bars, "low": low, "high": high, "mean": sum(numbers) / len(numbers)}


def _numbers(cells: Sequence[str], of: str) -> dict[str, Any]:
    numbers = []
    for cell in cells:
        try:
            numbers.append(float(cell))
        except ValueError:
            return {"kind": "wrong", "cell": cell[:40]}
    if not numbers or not all(map(math.isfinite, numbers)):
        return {"kind": "none"}
    return {"kind": "numbers", "of": of, "rows": len(numbers), **histogram(numbers)}


def _bars(counts: Mapping[str, int], of: str, what: str) -> dict[str, Any]:
    bars = pictures.label_bars(dict(counts))
    return {"kind": "none"} if bars is None else {"kind": "bars", "bars": bars, "of": of, "what": what}


def _cells(items: Items, column: str) -> list[str]:
    """What is in a column, empty cells left out."""
    return [cell for item in items if (cell := (item["cells"].get(column) or "").strip())]


def _entities(cells: Sequence[str]) -> Counter[str]:
    """Entities by type, in cells of JSON: BIO tags (an entity begins with B-, or else with a change), or spans."""
    counts: Counter[str] = Counter()
    for cell in cells:
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            continue
        before = "O"
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict):
                counts[str(one.get("label", ""))] += 1
                continue
            mark, _, kind = str(one).partition("-")
            if str(one) != "O" and (mark in ("B", "S", "U") or (kind or mark) != before):
                counts[kind or mark] += 1
            before = "O" if str(one) == "O" else kind or mark
    return counts
