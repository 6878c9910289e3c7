"""What a run's page says of its data: likely wrong labels, what was confused, where it fails, and the run on corrected data."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query

from app.core.errors import Conflict, NotFound
from app.core.files import read_json
from app.core.tables import FINAL_STATES
from app.datasets import rows as parquet
from app.datasets.ingest import PROFILE_FILE
from app.tasks import TASKS, heldout
from app.tasks.examples import names_of
from app.tasks.slices import MOST_VALUES, Confusion, Slice, confusions, few_values, slices
from app.web import actions, comparing, marks, suspects
from app.web.heldout import path_of
from app.web.search_time import expected_seconds
from app.web.services import Services
from app.web.will import roughly


@dataclass(frozen=True)
class Wanted:
    """What the address of the page asks for: the first suspect, and the run to compare with."""

    at: int = 0
    other: str = ""


def _wanted(
    at: Annotated[int, Query(ge=0, le=10**9)] = 0,
    other: Annotated[str, Query(alias="with", max_length=20)] = "",
) -> Wanted:
    return Wanted(at, other)


WantedDep = Annotated[Wanted, Depends(_wanted)]


def section(services: Services, view: dict[str, Any], wanted: Wanted = Wanted()) -> dict[str, Any]:
    """What templates/run/_data.html shows: {"data": …}, None while the run goes on or if nothing was tested."""
    path = services.files.run(view["id"]) / heldout.FILE
    if view["state"] not in FINAL_STATES or not path.is_file():
        return {"data": None}
    failing, confused = lessons(services, view, path)
    others = comparing.others(services, view)
    return {
        "data": {
            "suspects": _suspects(services, view, wanted) if suspects.can_search(view) else None,
            "slices": failing,
            "by_tokens": any(one.by == "length" and one.value.endswith("tokens") for one in failing),
            "confusions": [
                {**asdict(one), "query": urlencode({"truth": one.truth, "predicted": one.predicted})}
                for one in confused
            ],
            "again": comparing.standing(services, view),
            "others": others,
            "other": wanted.other or _first(view, others),
            **_difference(services, view, wanted.other or _first(view, others)),
        }
    }


def lessons(services: Services, view: dict[str, Any], path: Path) -> tuple[list[Slice], list[Confusion]]:
    """Slices and confusions of a run, as the API shows it; `path`: its heldout.parquet."""
    folder = services.files.version(view["dataset"], view["dataset_version"])
    used = tuple(name for value in view["spec"]["columns"].values() for name in names_of(value))
    return _lessons(path, path.stat().st_mtime_ns, folder, used)


def of_run(services: Services, run_id: str) -> tuple[list[Slice], list[Confusion]]:
    """The same by its id. Raises NotFound; Conflict while (or because) there are no held-out rows."""
    path = path_of(services, run_id)
    return lessons(services, actions.run_view(services, run_id), path)


@lru_cache(maxsize=32)  # a page is asked for again at every press
def _lessons(
    path: Path, changed: int, folder: Path, used: tuple[str, ...]
) -> tuple[list[Slice], list[Confusion]]:
    return slices(path, _other_columns(path, folder, used)), confusions(path)


def _other_columns(path: Path, folder: Path, used: tuple[str, ...]) -> dict[str, dict[int, str]]:
    """Of the columns that the run did not read and that have few values: the cell of each held-out row."""
    try:
        profile = read_json(folder / PROFILE_FILE)["columns"]
        if not (folder / parquet.ROWS_FILE).is_file():
            return {}
    except FileNotFoundError:  # somebody has taken the data away: the rest of the slices need none of it
        return {}
    names = [
        name for name, column in profile.items() if name not in used and 1 < column["distinct"] <= MOST_VALUES
    ]
    if not names:
        return {}
    import pyarrow.parquet as pq

    held = set(pq.read_table(path, columns=["row_id"])["row_id"].to_pylist())
    table = parquet.read_columns(folder, names)
    ids = table[parquet.ROW_ID].to_pylist()
    places = [place for place, row in enumerate(ids) if row in held]
    found = {}
    for name in names:
        cells = table[name].take(places).to_pylist()
        found[name] = {ids[place]: (cell or "").strip() for place, cell in zip(places, cells, strict=True)}
    return {name: cells for name, cells in found.items() if few_values(cells)}


def _suspects(services: Services, view: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    found = suspects.look(services, view["id"], wanted.at)
    at = wanted.at
    if at and not found["items"]:
        at, found = 0, suspects.look(services, view["id"])
    total = found["total"] or 0
    how, working = TASKS[view["task"]].labels_a_row, found["state"] in ("queued", "running")
    for item in (found["items"] or []) if how == "entities" else []:
        item["pieces"] = _doubted(item, view)
    return {
        **found,
        "number": how == "number",
        "tags": how == "entities",
        "readers": [] if working else _readers(services, view),
        "takes": {}
        if working
        else {reader: roughly(seconds) for reader, seconds in expected_seconds(services, view).items()},
        "first": at + 1,
        "last": at + len(found["items"] or []),
        "before": max(0, at - suspects.PAGE) if at else None,
        "after": at + suspects.PAGE if at + suspects.PAGE < total else None,
        "at": at,
    }


def _doubted(item: dict[str, Any], view: dict[str, Any]) -> list[dict[str, Any]]:
    """The text of a suspect with its entities, those marked that are doubted."""
    found, others = item["entities"], item["entities"]["others"]
    per_class = (view["results"] or {}).get("per_class") or []
    detail = {"text": item["text"], "characters": True}
    detail |= {"true": others + found["now"]["spans"], "predicted": others + found["suggested"]["spans"]}
    titles = {"found": "", "missed": "so it is marked now", "spurious": "so it is suggested"}
    return [
        {**one, "title": titles.get(one["kind"], "marked now → suggested")}
        for one in marks.pieces(detail, marks.colours_of([kind["label"] for kind in per_class]))
    ]


def _readers(services: Services, view: dict[str, Any]) -> list[dict[str, Any]]:
    """Who can read the texts of a search that could begin now; none where there is no choice."""
    found = suspects.readers(services)
    return found if any(one["id"] != view["spec"]["model"] for one in found) else []


def _first(view: dict[str, Any], others: list[dict[str, Any]]) -> str:
    """The run that this one corrects, if it is there."""
    return next((one["id"] for one in others if one["id"] == view["corrects"]), "")


def _difference(services: Services, view: dict[str, Any], other: str) -> dict[str, Any]:
    if not other:
        return {"difference": None, "no_difference": ""}
    try:
        return {"difference": comparing.compare(services, view["id"], other), "no_difference": ""}
    except (Conflict, NotFound) as error:
        return {"difference": None, "no_difference": error.message}
