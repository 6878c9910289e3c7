"""Likely wrong labels of a finished run: search for them, look at them, correct one or say that it is right."""

from typing import Any

from app.core import label_checks, runs
from app.core.errors import Conflict, Invalid, NotFound
from app.core.tables import FINAL_STATES, Run
from app.datasets import label_marks
from app.datasets import rows as parquet
from app.datasets.changes import parse_change
from app.datasets.journal import Pending
from app.tasks import TASKS, suspects
from app.web.services import Services

PAGE = 50
LONGEST = 1000  # characters of a label


def look(services: Services, run_id: str, offset: int = 0, limit: int = PAGE) -> dict[str, Any]:
    """The search as label_checks.view has it, and what it found: `total`, `summary`, `items` (None before the first search
    has ended).

    Each item has, beside the fields of app.tasks.suspects.Suspect, `now`: the label as it is now, with what is not saved yet (None
    if the row is gone), and `status`: open, right (somebody said so), pending (corrected, not saved), corrected, gone.
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
    return run["state"] == "succeeded" and run["task"] in TASKS and TASKS[run["task"]].one_label


def search(services: Services, run_id: str) -> dict[str, Any]:
    """Queues a search, or one more. Raises NotFound, Conflict."""
    with services.database.write() as session:
        _require_labels(runs.get(session, run_id))
        return label_checks.view(label_checks.request(session, run_id, services.clock()))


def cancel(services: Services, run_id: str) -> dict[str, Any]:
    """Raises NotFound, Conflict if nobody searches."""
    with services.database.write() as session:
        return label_checks.view(label_checks.request_cancel(session, run_id, services.clock()))


def decide(services: Services, run_id: str, row: int, value: Any) -> dict[str, Any]:
    """{"label": "ham"} gives the row another label, among the data set's edits that are not saved; {"right": true} remembers that
    it has the right one, {"right": false} forgets that. Returns the row's item. Raises NotFound, Invalid, Conflict."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    _require_labels(run)
    given = _checked(value)
    found = _item(services, run_id, row)
    now = _with_status(services, run, [found])[0]
    if now["status"] == "gone":
        raise Conflict("That row is not in the data set any more.")
    column = _column(run)
    if "label" in given:
        before = _cells(services, run, [row])[row]
        change = {"cells": [{"row": row, "column": column, "value": given["label"], "before": before}]}
        services.edits.change(run.dataset_id, parse_change(change))
        label_marks.mark(services.files, run.dataset_id, row, None)
    elif given["right"] and now["status"] in ("pending", "corrected"):
        raise Conflict("That label has been changed: take the change back, then say that it was right.")
    else:
        label_marks.mark(services.files, run.dataset_id, row, found["label"] if given["right"] else None)
    return _with_status(services, run, [found])[0]


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"label", "right"}:
        raise Invalid('Send {"label": "…"}, the label that the row should have, or {"right": true}.')
    label = value.get("label")
    if "label" in value and not (isinstance(label, str) and 0 < len(label.strip()) <= LONGEST):
        raise Invalid.from_problems(
            "The label can't be used",
            [{"where": "label", "message": f"must be a text of 1 to {LONGEST:,} characters"}],
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
    pending = _pending(services, run)
    cells = _cells(services, run, [item["row_id"] for item in items], pending)
    right, column = label_marks.right_labels(services.files, run.dataset_id), _column(run)
    made = []
    for item in items:
        row, label = item["row_id"], item["label"]
        now = cells.get(row)
        status = "open"
        if now is None:
            status = "gone"
        elif column in pending.cells.get(row, {}):
            status = "pending"
        elif now.strip() != label:
            status = "corrected"
        elif right.get(row) == label:
            status = "right"
        made.append({**item, "now": now, "status": status})
    return made


def _pending(services: Services, run: Run) -> Pending:
    return services.edits.pending(run.dataset_id)


def _cells(services: Services, run: Run, rows: list[int], pending: Pending | None = None) -> dict[int, str]:
    """The label cells of rows as they are now, with what is not saved; without rows that are not there or marked to go."""
    pending = pending or _pending(services, run)
    column, version = _column(run), services.datasets.view(run.dataset_id)["version"]
    try:
        saved = parquet.read_ids(services.files.version(run.dataset_id, version), rows)
    except FileNotFoundError:  # somebody has taken the data away: the run still shows what it has
        return {}
    return {
        row: pending.cells.get(row, {}).get(column, cells[column])
        for row, cells in saved.items()
        if row not in pending.dropped and column in cells
    }


def _column(run: Run) -> str:
    return str(run.spec["columns"]["label"])


def _require_labels(run: Run) -> None:
    if run.task not in TASKS or not TASKS[run.task].one_label:
        raise Conflict(
            "Wrong labels can be looked for where each row has one label: classification and pairs."
        )
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: wrong labels can be looked for once it has succeeded.")
