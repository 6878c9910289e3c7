"""JSON API: the models on offer."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from app.web.services import ServicesDep

if TYPE_CHECKING:
    from app.models.info import ModelInfo

router = APIRouter(prefix="/api", tags=["models"])


@router.get("/models")
def listed(services: ServicesDep) -> list[dict[str, Any]]:
    """The starter and the local folders. One that can't be used has no tasks and says why in `note`."""
    return [model_view(model) for model in services.models.offered()]


def model_view(model: "ModelInfo") -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.title,
        "family": model.family,
        "kind": model.kind,
        "tasks": model.tasks,
        "parameters": model.parameters,
        "max_length": model.max_length,
        "bytes": model.bytes,
        "note": model.note,
    }
