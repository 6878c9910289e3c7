"""Train once more on corrected data, and two runs side by side on the rows that both were tested on."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import load_only
from sqlmodel import col

from app.core import runs
from app.core.errors import Conflict
from app.core.tables import Run
from app.tasks import TASKS, heldout
from app.tasks.difference import difference
from app.web.heldout import path_of
from app.web.services import Services

MOST_OFFERED = 50


def again(services: Services, run_id: str) -> str:
    """Saves what is not saved of the data set, and launches the run once more on its current version; returns the new run's id.

    Raises NotFound, Conflict where nothing has changed, and what a launch raises.
    """
    with services.database.read() as session:
        run = runs.get(session, run_id)
    if services.edits.pending(run.dataset_id).count:
        services.edits.save(run.dataset_id)
    return services.launcher.again(run_id)


def standing(services: Services, view: dict[str, Any]) -> dict[str, Any]:
    """What a second training would see: {"changes": edits that are not saved, "version": the current one, "differs": whether its
    rows are others than the run's}"""
    with services.database.read() as session:
        now = runs.version_of(session, view["dataset"], None)
    changes = services.edits.pending(view["dataset"]).count
    differs = now.sha256 != view["dataset_sha256"]
    return {"changes": changes, "version": now.version, "differs": differs}


def compare(services: Services, run_id: str, other_id: str) -> dict[str, Any]:
    """The second run against the first, as app.tasks.difference.Difference has it, with `before` and `after`: their ids and names,
    the one on the older version of the data first. Raises NotFound; Conflict for runs of other tasks or data, and without a test."""
    paths = {one: path_of(services, one) for one in (run_id, other_id)}
    with services.database.read() as session:
        pair = [runs.get(session, one) for one in (other_id, run_id)]
    if run_id == other_id:
        raise Conflict("That is the same run: choose another one to compare it with.")
    if pair[0].dataset_id != pair[1].dataset_id or pair[0].task != pair[1].task:
        raise Conflict("Only runs of the same task on the same data set can be compared row by row.")
    pair.sort(key=lambda one: (one.dataset_version, one.created_at))
    found = difference(paths[pair[0].id], paths[pair[1].id])
    if not found.rows:
        raise Conflict("The two runs were tested on different rows, so nothing can be compared.")
    known = (
        {metric.name: metric.title for metric in TASKS[pair[0].task].judged_by}
        if pair[0].task in TASKS
        else {}
    )
    told = asdict(found)
    told["figures"] = [
        {**one, "title": known.get(one["name"], one["name"].replace("_", " "))} for one in found.figures
    ]
    return {"before": _named(pair[0]), "after": _named(pair[1]), **told}


def others(services: Services, view: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that this one can be compared with, the newest first; those that it corrects, or that correct it, at the top."""
    needed: Any = (Run.id, Run.name, Run.dataset_version, Run.corrects_id, Run.created_at)
    query = (
        select(Run)
        .options(load_only(*needed))
        .where(
            col(Run.dataset_id) == view["dataset"],
            col(Run.task) == view["task"],
            col(Run.state) == "succeeded",
            col(Run.id) != view["id"],
        )
        .order_by(col(Run.created_at).desc())
        .limit(MOST_OFFERED)
    )
    with services.database.read() as session:
        found = list(session.execute(query).scalars())
    tested = [run for run in found if (services.files.run(run.id) / heldout.FILE).is_file()]
    tested.sort(key=lambda run: run.id != view["corrects"] and run.corrects_id != view["id"])
    return [_named(run) for run in tested]


def _named(run: Run) -> dict[str, Any]:
    return {"id": run.id, "name": run.name, "version": run.dataset_version}
