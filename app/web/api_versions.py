"""JSON API: the versions of a data set, the steps between them, undo and redo."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.core.errors import Invalid
from app.datasets.steps import STEPS, parse_step
from app.web.body import JsonBody
from app.web.services import DatasetId, ServicesDep

router = APIRouter(prefix="/api/datasets/{dataset_id}", tags=["data sets"])
EXPECTED = {
    "type": ["integer", "null"],
    "minimum": 1,
    "default": None,
    "description": "409 unless it is the current version",
}


def _step_body() -> dict[str, Any]:
    schema = STEPS.json_schema(ref_template="{model}")
    kinds = [written_out(kind, schema["$defs"]) for kind in schema["oneOf"]]
    return body({"step": {"oneOf": kinds}, "expected": EXPECTED}, ["step"])


def written_out(schema: Any, models: dict[str, Any]) -> Any:
    """A schema with its models in the place of references, which would lead nowhere in our document."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return written_out(models[schema["$ref"]], models)
        return {name: written_out(value, models) for name, value in schema.items()}
    return [written_out(one, models) for one in schema] if isinstance(schema, list) else schema


def body(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, "required": required, "properties": properties}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def asked(value: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    """The fields of a JSON object. Raises Invalid for what is no object and for fields that are not in `names`."""
    if not isinstance(value, dict):
        raise Invalid(f"Send {what} as a JSON object with {' and '.join(names)}.")
    problems = [
        {"where": name, "message": f"there is no field {name!r}; use {', '.join(names)}"}
        for name in value
        if name not in names
    ]
    expected = value.get("expected")
    if expected is not None and (
        not isinstance(expected, int) or isinstance(expected, bool) or not 0 < expected < 10**9
    ):
        problems.append({"where": "expected", "message": "must be the number of a version"})
    if problems:
        raise Invalid.from_problems(f"{what[:1].upper()}{what[1:]} can't be used", problems)  # type: ignore[arg-type]
    return value


@router.get("/versions")
def versions(dataset_id: DatasetId, services: ServicesDep) -> list[dict[str, Any]]:
    """All versions, the oldest first: what step made each of which, and which one is current."""
    return services.versions.history(dataset_id)


@router.post("/steps", status_code=201, openapi_extra={"requestBody": _step_body()})
def step(
    dataset_id: DatasetId,
    services: ServicesDep,
    body: JsonBody,
    preview: Annotated[bool, Query(description="only count what the step would do")] = False,
) -> dict[str, Any]:
    """Make a new version with a step: {"step": {"kind": "drop", "rows": [17, 18]}}."""
    given = asked(body, ("step", "expected"), "the step")
    made = parse_step(given.get("step"))
    if preview:
        return {"preview": True, "title": made.title, **asdict(services.versions.preview(dataset_id, made))}
    return services.versions.apply(dataset_id, made, expected=given.get("expected"))


@router.post("/undo")
def undo(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """Go back to the version that the current one was made of. 409 at the first one."""
    return {"version": services.versions.undo(dataset_id)}


@router.post("/redo")
def redo(dataset_id: DatasetId, services: ServicesDep) -> dict[str, Any]:
    """Go forward to the newest version that was made of the current one. 409 if there is none."""
    return {"version": services.versions.redo(dataset_id)}
