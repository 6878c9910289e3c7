"""Likely wrong labels of a finished run: search for them, look at them, correct one or say that it is right."""

from typing import Any

from app.core import label_checks, runs
from app.core.errors import Conflict, Invalid, NotFound
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, Run
from app.datasets import label_marks
from app.datasets import rows as parquet
from app.datasets.changes import parse_change
from app.models.starter import STARTER
from app.tasks import TASKS, suspects
from app.tasks.learners import learned_from
from app.tasks.multilabel import YES, labels_in, with_flag, with_label
from app.tasks.score import typed
from app.tasks.tag_cells import entities_column, fault_of
from app.web.services import Services

PAGE = 50
LONGEST, LONGEST_CELL = 1000, 100_000  # characters of a label, and of a cell with the tags of all tokens


def look(services: Services, run_id: str, offset: int = 0, limit: int = PAGE) -> dict[str, Any]:
    """The search as label_checks.view has it, and what it found: `total`, `summary`, `items` (None before the first search
    has ended).

    Each item has, beside the fields of app.tasks.suspects.Suspect, `now`: the cell of the label as it is now, with what is not saved
    yet (None if the row is gone), `fixed` and `kept`: what to write there to follow the suggestion, and to take that back, and
    `status`: open, right (somebody said so), pending (corrected, not saved), corrected, gone.
    Raises NotFound.
    """
    with services.database.read() as session:
        run = runs.get(session, run_id)
        told = label_checks.view(label_checks.find(session, run_id))
    try:
        found = suspects.page(services.files.suspects(run_id), offset, limit)
    except FileNotFoundError:
        return {**told, "total": None, "summary": None, "items": None}
    items = _with_status(services, run, found.items)
    return {**told, "total": found.total, "summary": vars(found.summary), "items": items}


def can_search(run: dict[str, Any]) -> bool:
    """Whether wrong labels can be looked for in the data of a run, as the API shows it."""
    return run["state"] == "succeeded" and run["task"] in TASKS and TASKS[run["task"]].labels_a_row != "none"


def search(services: Services, run_id: str, model: str = "") -> dict[str, Any]:
    """Queues a search, or one more. `model`: one of `readers`, to read the texts; "" for the one that reads them best.
    Raises NotFound, Invalid, Conflict."""
    there = [one["id"] for one in readers(services)] if model else []
    if model and model not in there:
        raise Invalid.from_problems(
            "The search can't start",
            [
                {
                    "where": "model",
                    "message": f"there is no encoder {model[:80]!r} here; choose one of {', '.join(there)}",
                }
            ],
        )
    with services.database.read() as session:
        run = runs.get(session, run_id)
    _require_labels(run)
    if model:
        _refuse_learner(services, run, model)
    with services.database.write() as session:
        return label_checks.view(label_checks.request(session, run_id, services.clock(), model))


def _refuse_learner(services: Services, run: Run, model: str) -> None:
    """Raises Invalid for a model that is known to have learned from these labels."""
    path = next(one.path for one in services.models.offered() if one.id == model)
    of = learned_from(services.database, path, run.dataset_id) if path and model != STARTER else None
    if of is not None:
        message = (
            f"{model} is the model of the run “{of}”, which learned from the labels of this data and would find them right; "
            "choose another model"
        )
        raise Invalid.from_problems("The search can't start", [{"where": "model", "message": message}])


def readers(services: Services) -> list[dict[str, Any]]:
    """The pre-trained encoders of this machine, the smallest first: {"id", "title", "parameters"}"""
    found = [one for one in services.models.offered() if one.tasks and one.architecture == "encoder"]
    return [
        {"id": one.id, "title": one.title, "parameters": one.parameters}
        for one in sorted(found, key=lambda one: one.parameters or 0)
    ]


def cancel(services: Services, run_id: str) -> dict[str, Any]:
    """Raises NotFound, Conflict if nobody searches."""
    with services.database.write() as session:
        return label_checks.view(label_checks.request_cancel(session, run_id, services.clock()))


def decide(services: Services, run_id: str, row: int, value: Any) -> dict[str, Any]:
    """{"label": "ham"} writes another label into the row's cell (of several labels: all of them, none included; where each has a
    column of its own: into that of the doubted one), among the data set's edits that are not saved; {"right": true} remembers that
    it is right as it is, {"right": false} forgets that. Returns the row's item. Raises NotFound, Invalid, Conflict."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    _require_labels(run)
    how = TASKS[run.task].labels_a_row
    given = _checked(value, 0 if how == "several" else 1, LONGEST_CELL if how == "entities" else LONGEST)
    found = _item(services, run_id, row)
    now = _with_status(services, run, [found])[0]
    if now["status"] == "gone":
        raise Conflict("That row is not in the data set any more.")
    if "label" in given:
        column, label = _column(run, found), given["label"]
        if label != now["kept"]:
            label = _fitting(services, run, found, column, label)
        cell = {"row": row, "column": column, "value": label, "before": now["now"]}
        services.edits.change(run.dataset_id, parse_change({"cells": [cell]}))
        label_marks.mark(services.files, run.dataset_id, row, None)
    elif given["right"] and now["status"] in ("pending", "corrected"):
        raise Conflict("That label has been changed: take the change back, then say that it was right.")
    else:
        label_marks.mark(services.files, run.dataset_id, row, found["label"] if given["right"] else None)
    return _with_status(services, run, [found])[0]


def _fitting(services: Services, run: Run, found: dict[str, Any], column: str, label: str) -> str:
    """A label as it goes into the cell. Raises Invalid for what the task could not read there."""
    how = TASKS[run.task].labels_a_row
    if how == "number":
        return typed(label, column, commas="," in found["suggested"])
    if how == "entities":
        role = "text" if "spans" in run.spec["columns"] else "tokens"
        cells = _cells(services, run, [found["row_id"]])[found["row_id"]]
        fault = fault_of(RunSpec.model_validate(run.spec), cells[run.spec["columns"][role]], label)
        if fault:
            raise Invalid.from_problems(
                "The entities can't be used", [{"where": "label", "message": f"{column!r} {fault}"}]
            )
    return label


def _checked(value: Any, least: int, longest: int = LONGEST) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"label", "right"}:
        raise Invalid('Send {"label": "…"}, the label that the row should have, or {"right": true}.')
    label = value.get("label")
    if "label" in value and not (isinstance(label, str) and least <= len(label.strip()) <= longest):
        raise Invalid.from_problems(
            "The label can't be used",
            [{"where": "label", "message": f"must be a text of {least} to {longest:,} characters"}],
        )
    if "right" in value and not isinstance(value["right"], bool):
        raise Invalid.from_problems(
            "The answer can't be used", [{"where": "right", "message": "must be true or false"}]
        )
    return value


def _item(services: Services, run_id: str, row: int) -> dict[str, Any]:
    try:
        found = suspects.page(services.files.suspects(run_id), 0, 10**6).items
    except FileNotFoundError:
        raise Conflict("Nobody has looked for wrong labels in the data of this run yet.") from None
    for item in found:
        if item["row_id"] == row:
            return item
    raise NotFound(f"Row {row} is not among the likely wrong labels of this run.")


def _with_status(services: Services, run: Run, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pending = services.edits.pending(run.dataset_id)
    saved = _cells(services, run, [item["row_id"] for item in items])
    right = label_marks.right_labels(services.files, run.dataset_id)
    made = []
    for item in items:
        row, label, column = item["row_id"], item["label"], _column(run, item)
        was = saved.get(row, {}).get(column) if row not in pending.dropped else None
        if was is None:
            made.append({**item, "now": None, "fixed": None, "kept": None, "status": "gone"})
            continue
        now = pending.cells.get(row, {}).get(column, was)
        status = "open"
        if not _says(run, item, now):
            status = "pending" if now != was else "corrected"
        elif right.get(row) == label:
            status = "right"
        kept = was if _says(run, item, was) else _written(run, item, now, as_it_was=True)
        fixed = _written(run, item, now, as_it_was=False)
        made.append({**item, "now": now, "fixed": fixed, "kept": kept, "status": status})
    return made


def _says(run: Run, item: dict[str, Any], cell: str) -> bool:
    """Whether the cell still says what is doubted: the label, or that the one label is there or not."""
    about = item["about"]
    if not about:
        return bool(cell.strip() == item["label"])
    there = cell.strip().casefold() in YES if _flagged(run) else about in labels_in(cell)
    return there == (about in labels_in(item["label"]))


def _written(run: Run, item: dict[str, Any], cell: str, as_it_was: bool) -> str:
    about = item["about"]
    if not about:
        return str(item["label" if as_it_was else "suggested"])
    there = (about in labels_in(item["label"])) == as_it_was
    return with_flag(cell, there) if _flagged(run) else with_label(cell, about, there)


def _cells(services: Services, run: Run, rows: list[int]) -> dict[int, dict[str, str]]:
    """Rows as they are saved; those that are not there are left out."""
    version = services.datasets.view(run.dataset_id)["version"]
    try:
        return parquet.read_ids(services.files.version(run.dataset_id, version), rows)
    except FileNotFoundError:  # somebody has taken the data away: the run still shows what it has
        return {}


def _flagged(run: Run) -> bool:
    """Whether each label has a column of its own, that says yes or no."""
    return isinstance(run.spec["columns"].get("label"), list)


def _column(run: Run, item: dict[str, Any]) -> str:
    if TASKS[run.task].labels_a_row == "entities":
        return entities_column(RunSpec.model_validate(run.spec))
    return str(item["about"] if _flagged(run) else run.spec["columns"]["label"])


def _require_labels(run: Run) -> None:
    if run.task not in TASKS or TASKS[run.task].labels_a_row == "none":
        raise Conflict(
            "Wrong labels can be looked for in the data of a classification, with one or several labels a text, of pairs, scores and tags."
        )
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: wrong labels can be looked for once it has succeeded.")
