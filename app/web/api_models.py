"""JSON API: the models on offer."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from app.tasks import TASKS
from app.web.services import ServicesDep

if TYPE_CHECKING:
    from app.models.info import ModelInfo

router = APIRouter(prefix="/api", tags=["models"])


@router.get("/models")
def listed(services: ServicesDep) -> list[dict[str, Any]]:
    """The starter and the local folders, each with the tasks that it can be fine-tuned for. One that can't be used has
    none and says why in `note`. `languages`: the codes to choose from for text2text, where a model has them."""
    return [model_view(model) for model in services.models.offered()]


def model_view(model: "ModelInfo") -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.title,
        "family": model.family,
        "architecture": model.architecture or None,
        "kind": model.kind,
        "tasks": [name for name, task in TASKS.items() if task.fits(model)],
        "parameters": model.parameters,
        "max_length": model.max_length,
        "languages": model.languages,
        "bytes": model.bytes,
        "note": model.note,
    }
