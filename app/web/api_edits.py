"""JSON API: edits of a data set that are not a version yet."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.datasets.changes import Change, parse_change
from app.web.api_versions import EXPECTED, asked, body, written_out
from app.web.body import JsonBody
from app.web.services import DatasetId, ServicesDep

router = APIRouter(prefix="/api/datasets/{dataset_id}/edits", tags=["data sets"])


def _change_body() -> dict[str, Any]:
    schema = Change.model_json_schema(ref_template="{model}")
    found = body({**written_out(schema["properties"], schema["$defs"]), "expected": EXPECTED}, [])
    found["content"]["application/json"]["schema"]["anyOf"] = schema["anyOf"]
    return found


@router.get("")
def look(
    dataset_id: DatasetId,
    services: ServicesDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> dict[str, Any]:
    """What is not saved yet: how many `changes`, what undo and redo would do, and the `rows` that have one."""
    return services.edits.look(dataset_id, offset, limit)


@router.post("", status_code=201, openapi_extra={"requestBody": _change_body()})
def change(dataset_id: DatasetId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Change cells, drop rows, add rows: kept at once, a version only when they are saved. 409 where a cell is no longer as `before`."""
    given = asked(body, ("cells", "drop", "restore", "add", "expected"), "the change")
    expected = given.get("expected")
    made = parse_change({name: value for name, value in given.items() if name != "expected"})
    return services.edits.change(dataset_id, made, expected)


@router.delete("")
def discard(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """Discard all that is not saved; undo brings it back."""
    return services.edits.discard(dataset_id)


@router.post("/undo")
def undo(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """Take the last change back. 409 if there is none."""
    return services.edits.undo(dataset_id)


@router.post("/redo")
def redo(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """Make the change again that was undone last. 409 if there is none."""
    return services.edits.redo(dataset_id)


@router.post("/save", status_code=201)
def save(
    dataset_id: DatasetId,
    services: ServicesDep,
    expected: Annotated[
        int | None, Query(ge=1, lt=10**9, description="409 unless it is the current version")
    ] = None,
) -> dict[str, Any]:
    """Make one version of all changes, which is then the current one. 409 if there is none."""
    return services.edits.save(dataset_id, expected)
