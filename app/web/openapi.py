"""The OpenAPI page: the run spec with all its defaults, and the one shape of every error."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.core.spec import OPTIONS, RunSpec
from app.tasks import TASKS

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["kind", "message", "problems"],
            "properties": {
                "kind": {"type": "string"},
                "message": {"type": "string", "description": "what is wrong and what to do"},
                "problems": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"where": {"type": "string"}, "message": {"type": "string"}},
                    },
                },
            },
        }
    },
}


def with_tasks(spec: dict[str, Any]) -> dict[str, Any]:
    """The schema of a run spec that names the tasks there are, what each reads, and which options it knows."""
    fields = spec["properties"]
    fields["task"]["enum"] = list(TASKS)
    fields["task"]["description"] = "; ".join(f"{name}: {task.about}" for name, task in TASKS.items())
    ways = {
        name: [" and ".join(role.name for role in way) for way in one.inputs] for name, one in TASKS.items()
    }
    roles = "; ".join(f"{name}: {', or '.join(several)}" for name, several in ways.items())
    fields["columns"]["description"] += f". Roles by task: {roles}"
    for option in OPTIONS:
        users = [name for name, task in TASKS.items() if option in task.options]
        before = fields[option].get("description")
        only = f"only for {', '.join(users)}" if users else "no task knows it"
        fields[option]["description"] = f"{before} ({only})" if before else only
    return spec


def failures(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """{status: response} of what may go wrong with an operation, all in the one shape."""
    found = {
        400: "the Host header, or a body that can't be taken apart",
        503: "a part of Headstart is silent",
    }
    if "{" in path:
        found |= {404: "there is no such thing, or it was deleted"}
    if operation.get("parameters") or "requestBody" in operation:
        found[422] = "what was sent can't be used; `problems` has every fault"
    if "{" in path or method != "get":
        found[409] = "not possible in the present state"
    if method != "get":
        found |= {403: "a page of another site sent it", 507: "too little disk"}
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        found[413] = "the body is too large"
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": found[status], "content": content} for status in sorted(found)}


def schema(app: FastAPI) -> dict[str, Any]:
    """The document, made at the first request and kept."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        spec = RunSpec.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components.update(spec.pop("$defs", {}))
        components["RunSpec"] = with_tasks(spec)
        components["RunChanges"] = {
            **{name: value for name, value in components["RunSpec"].items() if name != "required"},
            "title": "RunChanges",
            "description": "Fields of a run spec that differ from another run's; none is required.",
        }
        components["Error"] = ERROR
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                # FastAPI's own description of a 422 is not what we send.
                operation["responses"].pop("422", None)
                operation["responses"].update(failures(path, method, operation))
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
