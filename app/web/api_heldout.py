"""JSON API and download: the held-out rows of a run with what the model made of them."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.core.cells import neutralised
from app.tasks import heldout
from app.tasks.heldout import Filter
from app.web.heldout import path_of
from app.web.services import RunId, ServicesDep

_HEADER = ["row_id", "text", "truth", "predicted", "wrong"]
# Texts of a detail that are mostly the text, the truth or the prediction themselves.
_SAME = ("source", "reference", "output", "prompt", "text")
router = APIRouter(prefix="/api/runs", tags=["runs"])
Label = Annotated[
    str | None, Query(max_length=1000, description="only rows with this class, true or predicted")
]
Text = Annotated[str, Query(max_length=1000, description="only rows that contain it, in whatever case")]
Truth = Annotated[str | None, Query(max_length=1000, description="only rows that have this label")]
Predicted = Annotated[str | None, Query(max_length=1000, description="only rows that were taken for this")]
Wrong = Annotated[
    bool, Query(description="only mistakes; for figures without right and wrong the worst rows")
]


@router.get("/{run_id}/heldout")
def rows(
    run_id: RunId,
    services: ServicesDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    label: Label = None,
    q: Text = "",
    wrong: Wrong = False,
    truth: Truth = None,
    predicted: Predicted = None,
) -> dict[str, Any]:
    """The held-out rows that pass, worst first. `total`: how many pass; `labels`: how many of them have each class (all but
    `label` counted); `rows` and `wrong`: of the whole part."""
    chosen = Filter(label or None, q, wrong, truth or None, predicted or None)
    found = heldout.page(path_of(services, run_id), chosen, offset, limit)
    return {
        "items": [_public(item) for item in found.items],
        "total": found.total,
        "rows": found.rows,
        "wrong": found.wrong,
        "labels": [{"label": label, "rows": count} for label, count in found.classes],
    }


@router.get("/{run_id}/heldout.csv", response_class=StreamingResponse)
def as_csv(
    run_id: RunId,
    services: ServicesDep,
    label: Label = None,
    q: Text = "",
    wrong: Wrong = False,
    truth: Truth = None,
    predicted: Predicted = None,
) -> StreamingResponse:
    """The same rows as a CSV file: UTF-8 with a mark that spreadsheets need, formulas made harmless."""
    path = path_of(services, run_id)
    disposition = f'attachment; filename="heldout-{run_id}.csv"'
    return StreamingResponse(
        table(path, Filter(label or None, q, wrong, truth or None, predicted or None)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": disposition},
    )


def table(path: Path, chosen: Filter) -> Iterator[bytes]:
    """The file in pieces. Numbers and texts of `detail` that stand nowhere else are columns too."""
    extra: list[str] | None = None
    for batch in heldout.stream(path, chosen):
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        if extra is None:
            extra = _extra(batch[0])
            yield "\ufeff".encode()
            writer.writerow(_HEADER + [neutralised(name) for name in extra])
        for item in batch:
            cells = [
                item["row_id"],
                item["text"],
                item["truth"],
                item["predicted"],
                "yes" if item["wrong"] else "no",
            ]
            cells += [item["detail"].get(name) for name in extra]
            writer.writerow([neutralised(cell) for cell in cells])
        yield buffer.getvalue().encode()
    if extra is None:
        yield ("\ufeff" + ",".join(_HEADER) + "\r\n").encode()


def _extra(item: dict[str, Any]) -> list[str]:
    standing = {item["text"], item["truth"], item["predicted"]}
    return [
        name
        for name, value in item["detail"].items()
        if isinstance(value, int | float | str)
        and not isinstance(value, bool)
        and name not in ("truth", "predicted")
        and not (name in _SAME and value in standing)
    ]


def _public(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "labels" if name == "classes" else name: value for name, value in item.items() if name != "badness"
    }
