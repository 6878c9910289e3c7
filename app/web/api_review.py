"""JSON API: what a finished run says of its data, and the same run on corrected data."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from app.web import actions, comparing, data_tab, suspects
from app.web.body import JsonBody
from app.web.search_time import expected_seconds
from app.web.services import RunId, ServicesDep

router = APIRouter(prefix="/api/runs/{run_id}", tags=["runs"])
DECISION_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {
                    "label": {"type": "string", "maxLength": suspects.LONGEST_CELL},
                    "right": {"type": "boolean"},
                },
            }
        }
    },
}
Row = Annotated[int, Path(ge=0, lt=2**62)]


@router.get("/suspects")
def found(
    run_id: RunId,
    services: ServicesDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Rows whose label is likely wrong, the likeliest first, by models that have not seen it. `state`: of the search, none before
    the first one; `items` is null until it has ended. Where the label is a number, `off` says how many times as far from what is
    predicted (`suggested`) it is as usual, and nothing has a probability; where entities are
    marked, `label` and `suggested` are whole cells and `entities` says what is doubted. `expected_seconds`: what a search would take,
    by the model that reads ("" where the search chooses it), told from earlier ones on this machine; empty if there are none alike."""
    found = suspects.look(services, run_id, offset, limit)
    run = actions.run_view(services, run_id)
    expected = expected_seconds(services, run) if suspects.can_search(run) else {}
    return {**found, "expected_seconds": expected}


@router.post("/suspects", status_code=202)
def search(
    run_id: RunId,
    services: ServicesDep,
    model: Annotated[
        str,
        Query(
            max_length=200,
            description="an encoder of this machine that reads the texts; empty: the one that reads them best",
        ),
    ] = "",
) -> dict[str, Any]:
    """Look for wrong labels, or look once more. Asking twice is no error."""
    return suspects.search(services, run_id, model)


@router.post("/suspects/cancel")
def cancel(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Stop looking. 409 if nobody does."""
    return suspects.cancel(services, run_id)


@router.post("/suspects/{row}", openapi_extra={"requestBody": DECISION_BODY})
def decide(run_id: RunId, row: Row, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """{"label": "ham"} corrects the row, among the edits of the data set that are not saved; {"right": true} remembers that its label
    is right, {"right": false} forgets it. `label` is what the cell shall have: an item's `fixed` follows the suggestion, its `kept`
    takes that back; it may be empty where a row may have several labels."""
    return suspects.decide(services, run_id, row, body)


@router.get("/slices")
def slices(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Where the run fails on its held-out rows: `slices`, those that are surely worse first, and `confusions`, what was taken for
    what."""
    failing, confused = data_tab.of_run(services, run_id)
    return {
        "slices": [asdict(one) for one in failing],
        "confusions": [asdict(one) for one in confused],
    }


@router.get("/compare")
def compare(
    run_id: RunId,
    services: ServicesDep,
    other: Annotated[str, Query(alias="with", pattern="^[a-z0-9]{12}$", description="another run's id")],
) -> dict[str, Any]:
    """Two runs on the rows that both were tested on: their figures there, and which rows changed. 409 for other data or tasks."""
    return comparing.compare(services, run_id, other)


@router.post("/again", status_code=201)
def again(run_id: RunId, services: ServicesDep) -> dict[str, str]:
    """Save the data set's edits, and start the same run on its current version. 409 if that is the run's own."""
    return {"id": comparing.again(services, run_id), "state": "queued"}
