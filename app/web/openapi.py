"""The OpenAPI page: the run spec with all its defaults, and the one shape of every error."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.core.spec import RunSpec

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


def schema(app: FastAPI) -> dict[str, Any]:
    """The document, made at the first request and kept."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        spec = RunSpec.model_json_schema(ref_template="#/components/schemas/{model}")
        components = document.setdefault("components", {}).setdefault("schemas", {})
        components.update(spec.pop("$defs", {}))
        components["RunSpec"] = spec
        components["Error"] = ERROR
        reference = {"schema": {"$ref": "#/components/schemas/Error"}}
        failed = {"description": "What went wrong", "content": {"application/json": reference}}
        for path in document["paths"].values():
            for operation in path.values():
                # FastAPI's own description of a 422 is not what we send.
                operation["responses"].pop("422", None)
                operation["responses"]["4XX"] = failed
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
