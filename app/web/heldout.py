"""The error browser: the held-out rows of a run, the worst first, filtered, page by page, and drawn by what they hold.

What a row looks like follows from its `detail` (app.tasks.heldout), so a task that is new gets its browser for free.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query

from app.core import runs
from app.core.errors import Conflict
from app.core.tables import FINAL_STATES
from app.tasks import heldout
from app.tasks.heldout import Filter
from app.web import marks
from app.web.services import Services

PAGE = 50
MOST_CLASSES = 200  # in the list to choose from
# Numbers of a detail that have a column of their own, with their titles; others have their name.
NUMBERS = {"probability": "p", "chrf": "chrF"}
_KINDS = {"tokens": "tagged", "characters": "tagged", "source": "pair", "prompt": "pair"}


@dataclass(frozen=True)
class Asked:
    """What the address of the page asks for."""

    chosen: Filter
    offset: int = 0

    def address(self, offset: int | None = None) -> str:
        """The query string; another `offset` for another page."""
        fields = {
            "wrong": "1" if self.chosen.only_wrong else "0",
            "label": self.chosen.klass or "",
            "q": self.chosen.query,
            "truth": self.chosen.truth or "",
            "predicted": self.chosen.predicted or "",
            "offset": str(self.offset if offset is None else offset or ""),
        }
        return urlencode({name: value for name, value in fields.items() if value})


def _asked(
    wrong: Annotated[str, Query(pattern="^[01]?$")] = "1",
    label: Annotated[str, Query(max_length=1000)] = "",
    q: Annotated[str, Query(max_length=1000)] = "",
    truth: Annotated[str, Query(max_length=1000)] = "",
    predicted: Annotated[str, Query(max_length=1000)] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Asked:
    return Asked(Filter(label or None, q.strip(), wrong != "0", truth or None, predicted or None), offset)


AskedDep = Annotated[Asked, Depends(_asked)]


def path_of(services: Services, run_id: str) -> Path:
    """The file of a run. Raises NotFound; Conflict while (or because) there is none."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    path = services.files.run(run_id) / heldout.FILE
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: its held-out rows can be read once it has finished.")
    if not path.is_file():
        raise Conflict("The run ended without a test on held-out rows.")
    return path


def browser(services: Services, view: dict[str, Any], asked: Asked) -> dict[str, Any] | None:
    """The tab of a run, as its template wants it; None if there is no file."""
    path = services.files.run(view["id"]) / heldout.FILE
    if view["state"] not in FINAL_STATES or not path.is_file():
        return None
    found = heldout.page(path, asked.chosen, asked.offset, PAGE)
    if asked.offset and not found.items:  # an address from before: the first page is better than none
        asked = Asked(asked.chosen)
        found = heldout.page(path, asked.chosen, 0, PAGE)
    after = asked.offset + PAGE
    return {
        "asked": asked,
        **drawn(found.items, view),
        "total": found.total,
        "rows": found.rows,
        "wrong": found.wrong,
        "classes": found.classes[:MOST_CLASSES],
        "first": asked.offset + 1,
        "last": asked.offset + len(found.items),
        "before": asked.address(max(0, asked.offset - PAGE)) if asked.offset else None,
        "after": asked.address(after) if after < found.total else None,
        "csv": f"/api/runs/{view['id']}/heldout.csv?{asked.address(0)}",
    }


def worst(services: Services, view: dict[str, Any], limit: int = 5) -> dict[str, Any] | None:
    """The first rows, for tasks whose best picture they are: marked text, texts side by side. None for others."""
    path = services.files.run(view["id"]) / heldout.FILE
    if view["state"] not in FINAL_STATES or not path.is_file():
        return None
    found = heldout.page(path, Filter(only_wrong=True), 0, limit)
    if not found.items:
        found = heldout.page(path, Filter(), 0, limit)
    shown = drawn(found.items, view)
    return {**shown, "rows": found.rows} if found.items and shown["kind"] in ("tagged", "pair") else None


def drawn(items: list[dict[str, Any]], view: dict[str, Any]) -> dict[str, Any]:
    """{"kind": "simple" | "labels" | "tagged" | "pair", "numbers": columns, "items", "ranked", "colours"}

    `ranked`: there is no right and wrong, only worse. `first_title`: what the first text is called. Each item gets "numbers" (as
    text) and "second" (the other text of a pair), by its kind "pieces" or "texts".
    """
    detail = items[0]["detail"] if items else {}
    kind = next((kind for key, kind in _KINDS.items() if key in detail), "simple")
    if kind == "simple" and isinstance(detail.get("true"), list):
        kind = "labels"
    scored = isinstance(detail.get("truth"), int | float)
    names = [name for name, value in detail.items() if _number(value) and name not in ("truth", "predicted")]
    per_class = (view["results"] or {}).get("per_class") or []
    colours = marks.colours_of([one["label"] for one in per_class]) if kind == "tagged" else {}
    for item in items:
        found = item["detail"]
        item["numbers"] = [_short(found.get(name)) for name in names]
        item["second"] = found.get("text_pair", "")
        if kind == "pair":
            item["texts"] = [
                found.get("source") or found.get("prompt") or item["text"],
                found.get("reference") or item["truth"],
                found.get("output") or item["predicted"],
            ]
        if kind == "labels":
            item["pieces"] = marks.of_labels(found["true"], found["predicted"])
        if kind == "tagged":
            item["pieces"] = marks.pieces(found, colours)
        if scored:
            true, predicted = found["truth"], found["predicted"]
            item["numbers"] += [_short(true), _short(predicted), _signed(predicted - true)]
    return {
        "kind": kind,
        "first_title": "prompt" if "prompt" in detail else "source",
        "items": items,
        "numbers": [NUMBERS.get(name, name.replace("_", " ")) for name in names]
        + ["true", "predicted", "difference"] * scored,
        "ranked": scored or kind == "pair" or "loss" in detail,
        "with_truth": not scored and any(item["truth"] or item["predicted"] for item in items),
        "colours": colours,
        "legend": marks.LABELS if kind == "labels" else marks.ENTITIES,
    }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    if not _number(value):
        return ""
    size = abs(value)
    return ("−" if value < 0 else "") + f"{size:,.{2 if size < 100 else 1 if size < 10_000 else 0}f}"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_short(abs(value))}"
