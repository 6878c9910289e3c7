"""JSON API: files that are predicted row by row."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

from app.core.errors import Invalid
from app.web import predicted
from app.web.api_datasets import FILE_BODY
from app.web.body import JsonBody
from app.web.download import Download
from app.web.services import RunId, ServicesDep

router = APIRouter(prefix="/api/runs/{run_id}/files", tags=["predicted files"])
FileId = Annotated[str, Depends(predicted.checked_id)]
COLUMNS_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"columns": {"type": "object", "additionalProperties": {"type": "string"}}},
                "additionalProperties": False,
            }
        }
    },
}


@router.put("", status_code=201, openapi_extra={"requestBody": FILE_BODY})
async def upload(
    request: Request,
    run_id: RunId,
    services: ServicesDep,
    name: Annotated[
        str, Query(description="the file's name, as reviews.csv", json_schema_extra={"pattern": r"\S"})
    ],
) -> dict[str, Any]:
    """Have a file predicted: the body is the raw file. Its columns are those of the run's data unless further query
    parameters say otherwise, as `text=comment`."""
    length = request.headers.get("content-length", "")
    expected = int(length) if length.isdecimal() else None
    columns = {role: column for role, column in request.query_params.items() if role != "name"}
    return await predicted.receive(services, run_id, name, request.stream(), expected, columns)


@router.get("")
def listed(run_id: RunId, services: ServicesDep) -> list[dict[str, Any]]:
    """The predicted files of a run, newest first."""
    return predicted.views(services, run_id)


@router.get("/{file_id}")
def one(run_id: RunId, file_id: FileId, services: ServicesDep) -> dict[str, Any]:
    """A predicted file: its state, and how many of its rows are done."""
    return predicted.view(services, run_id, file_id)


@router.get("/{file_id}/result.csv", response_class=FileResponse)
def result(run_id: RunId, file_id: FileId, services: ServicesDep) -> FileResponse:
    """The file with the answers beside its rows; 409 while there is none."""
    path, name = predicted.result_path(services, run_id, file_id)
    return Download(path, "text/csv; charset=utf-8", name)


@router.post("/{file_id}/cancel")
def cancel(run_id: RunId, file_id: FileId, services: ServicesDep) -> dict[str, Any]:
    """Stop predicting a file. Cancelling twice is no error."""
    return predicted.cancel(services, run_id, file_id)


@router.post("/{file_id}/retry", openapi_extra={"requestBody": COLUMNS_BODY})
def retry(run_id: RunId, file_id: FileId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Try a failed or cancelled file again, with other columns if the body names them: {"columns": {"text": "comment"}}."""
    known = isinstance(body, dict) and set(body) <= {"columns"}
    columns = body.get("columns", {}) if known else None
    if not isinstance(columns, dict) or not all(isinstance(value, str) for value in columns.values()):
        raise Invalid('Send {"columns": {"text": "comment"}}: for each role the column of the file.')
    return predicted.retry(services, run_id, file_id, columns)


@router.delete("/{file_id}", status_code=204)
def delete(run_id: RunId, file_id: FileId, services: ServicesDep) -> Response:
    """Delete a predicted file with its result."""
    predicted.delete(services, run_id, file_id)
    return Response(status_code=204)
