"""JSON API: data sets."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from app.core.errors import Invalid
from app.datasets.options import AUTO, DELIMITERS, FORMATS, ReadOptions, known_encodings
from app.datasets.parts import PARTS
from app.web import actions, uploads
from app.web.body import JsonBody
from app.web.services import DatasetId, ServicesDep

router = APIRouter(prefix="/api", tags=["data sets"])
FILE_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    },
}
FILES_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    part: {"type": "string", "format": "binary", "minLength": 1} for part in PARTS
                },
                "required": ["train"],
            }
        }
    },
}
FETCH_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"url": {"type": "string", "pattern": "^(https?://|hub:)"}},
                "required": ["url"],
            }
        }
    },
}
OPTIONS_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "encoding": {"enum": [*known_encodings(), AUTO, None], "default": None},
                    "delimiter": {"enum": [*DELIMITERS, AUTO, None], "default": None},
                    "header": {"enum": [True, False, AUTO, None], "default": None},
                    "skip_ragged": {"type": ["boolean", "null"], "default": None},
                    "format": {"enum": [*FORMATS, AUTO, None], "default": None},
                    "sheet": {"type": ["string", "null"], "default": None},
                },
            }
        }
    },
}


@router.put("/datasets", status_code=201, openapi_extra={"requestBody": FILE_BODY})
async def upload(
    request: Request,
    services: ServicesDep,
    name: Annotated[
        str, Query(description="the name to show, as reviews.csv", json_schema_extra={"pattern": r"\S"})
    ],
) -> dict[str, Any]:
    """Upload a file: the body is the raw file. A small one comes back read (ready or failed)."""
    length = request.headers.get("content-length", "")
    expected = int(length) if length.isdecimal() else None
    return await uploads.receive(services, name, request.stream(), expected)


@router.post("/datasets/files", status_code=201, openapi_extra={"requestBody": FILES_BODY})
async def upload_files(request: Request, services: ServicesDep) -> dict[str, Any]:
    """Upload two or three files as one data set: a form with the fields train, test and perhaps validation. The column
    `split` then says which file a row is from, and runs keep to it by themselves ({"kind": "files"})."""
    return await uploads.receive_form(request, services)


@router.post("/datasets/fetch", status_code=201, openapi_extra={"requestBody": FETCH_BODY})
async def fetch(services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Fetch a file from the web: {"url": "https://…"}, or a file of the hub: {"url": "hub:OWNER/NAME"} or "hub:OWNER/NAME/FILE".
    The state is "reading" while it comes; DELETE stops it."""
    if not isinstance(body, dict) or set(body) != {"url"} or not isinstance(body["url"], str):
        raise Invalid('Send the address as a JSON object: {"url": "https://host/reviews.csv"}.')
    return await uploads.fetch(services, body["url"])


@router.post("/datasets/sample", status_code=201)
async def sample(services: ServicesDep) -> dict[str, Any]:
    """Upload the sample data set that comes with Headstart."""
    return await uploads.receive_bytes(services, "sample.csv", actions.sample_bytes())


@router.get("/datasets")
def listed(services: ServicesDep) -> list[dict[str, Any]]:
    """All data sets, newest first, without their profiles."""
    return services.datasets.views()


@router.get("/datasets/{dataset_id}")
def one(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """A data set: state, columns, rows, profile, problems."""
    return services.datasets.view(dataset_id)


@router.get("/datasets/{dataset_id}/encodings")
def encodings(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """How a few encodings read the first lines that are not ASCII: `readings`, the one in use first, and the `lines`' numbers."""
    lines, found = services.datasets.encodings(dataset_id)
    return {"lines": lines, "readings": [asdict(one) for one in found]}


@router.post("/datasets/{dataset_id}/reread", openapi_extra={"requestBody": OPTIONS_BODY})
async def reread(dataset_id: DatasetId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Read the kept original again with other options. 409 while it is read or when a run uses it."""
    return await uploads.reread(services, dataset_id, read_options(body))


@router.delete("/datasets/{dataset_id}")
def delete(dataset_id: DatasetId, services: ServicesDep) -> dict[str, int]:
    """Delete a data set that no run uses."""
    freed = services.datasets.delete(dataset_id)
    services.examiner.forget(dataset_id)
    return {"freed_bytes": freed}


def read_options(value: Any) -> ReadOptions:
    """ReadOptions out of JSON. Raises Invalid with every problem."""
    kinds: dict[str, type] = {
        "encoding": str,
        "delimiter": str,
        "header": bool,
        "skip_ragged": bool,
        "format": str,
        "sheet": str,
    }
    if not isinstance(value, dict):
        raise Invalid('Send the options as a JSON object, for example {"encoding": "windows-1252"}.')
    problems = []
    for name, given in value.items():
        if name not in kinds:
            problems.append(
                {"where": name, "message": f"there is no option {name!r}; use {', '.join(kinds)}"}
            )
        elif given is not None and not isinstance(given, kinds[name]) and (name, given) != ("header", AUTO):
            expected = "a text" if kinds[name] is str else "true or false"
            problems.append({"where": name, "message": f"must be {expected}, not {given!r}"})
    if problems:
        raise Invalid.from_problems("The file can't be read this way", problems)  # type: ignore[arg-type]
    return ReadOptions(**value)
