"""JSON API: runs. Their live events are in streams.py."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from app.core import events, queue_order, run_log, runs, workers
from app.core.errors import Invalid
from app.web import actions
from app.web.body import JsonBody
from app.web.download import Download
from app.web.interpolate import move
from app.web.points import thin
from app.web.services import RunId, ServicesDep

router = APIRouter(prefix="/api", tags=["runs"])
SPEC_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunSpec"}}},
}
ALPHA_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["alpha"],
                "additionalProperties": False,
                "properties": {
                    "alpha": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 1,
                        "multipleOf": 0.1,
                        "description": "0: the head-only model, 1: the fine-tuned one",
                    }
                },
            }
        }
    },
}
MOVE_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {
                    "to": {"enum": list(queue_order.MOVES)},
                    "priority": {
                        "type": "integer",
                        "minimum": -queue_order.MAX_PRIORITY,
                        "maximum": queue_order.MAX_PRIORITY,
                        "description": "0 is what every run begins with",
                    },
                },
            }
        }
    },
}
CLONE_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/RunChanges"}},
    },
}
INPUTS_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "additionalProperties": False,
                "properties": {
                    "inputs": {
                        "type": "array",
                        "maxItems": actions.MAX_INPUTS,
                        "items": {
                            "anyOf": [
                                {"type": "string"},
                                {"type": "array", "items": {"type": "string"}},
                                {"type": "object", "additionalProperties": {"type": "string"}},
                            ],
                            "description": "a text; for pair {text, text_pair}; for tagging a text or its tokens",
                        },
                    }
                },
            }
        }
    },
}


@router.post("/runs", status_code=201, openapi_extra={"requestBody": SPEC_BODY})
def launch(spec: JsonBody, services: ServicesDep) -> dict[str, str]:
    """Start a run. Every problem of the spec is reported at once."""
    return {"id": services.launcher.launch(spec), "state": "queued"}


@router.post("/runs/check", openapi_extra={"requestBody": SPEC_BODY})
def check(spec: JsonBody, services: ServicesDep) -> dict[str, Any]:
    """What a spec would do: the completed spec, rows of each part, steps, and the reason of each default."""
    return actions.check(services, spec)


@router.get("/runs")
def listed(services: ServicesDep) -> list[dict[str, Any]]:
    """All runs, newest first, without `results`."""
    return actions.run_views(services)


@router.get("/workers")
def workers_there(services: ServicesDep) -> list[dict[str, Any]]:
    """The processes that take runs from the queue. `alive`: heard of within the last quarter of a minute."""
    with services.database.read() as session:
        return workers.views(session, services.clock())


@router.get("/runs/{run_id}")
def one(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """A run: its state and progress, final metrics on the held-out part, baselines, spec, error."""
    return actions.run_view(services, run_id)


@router.get("/runs/{run_id}/points")
def points(
    run_id: RunId,
    services: ServicesDep,
    response: Response,
    series: Annotated[str | None, Query(description="names with commas between; all without")] = None,
    most: Annotated[int | None, Query(alias="max", ge=2, le=10**6, description="thinned to so many")] = None,
) -> dict[str, dict[str, list[Any]]]:
    """The curves; thinned ones keep their spikes. The header Headstart-Seq is the last event in them."""
    names = None if series is None else [name for name in series.split(",") if name]
    with services.database.read() as session:
        response.headers["Headstart-Seq"] = str(runs.get(session, run_id).event_seq)
        found = events.read_points(session, run_id, names)
    return thin(found, most)


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Stop a run; its curve so far stays. Cancelling twice is no error."""
    return actions.cancel(services, run_id)


@router.post("/runs/{run_id}/pause")
def pause(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Write a checkpoint and make room for others. Pausing twice is no error."""
    return actions.pause(services, run_id)


@router.post("/runs/{run_id}/resume")
def resume(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Queue a paused run again: it goes on from its checkpoint."""
    return actions.resume(services, run_id)


@router.post("/runs/{run_id}/retry")
def retry(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """Queue a failed or cancelled run again: it goes on from its checkpoint, `checkpoint_step`; 0: it begins again."""
    return actions.retry(services, run_id)


@router.post("/runs/{run_id}/move", openapi_extra={"requestBody": MOVE_BODY})
def move_in_queue(run_id: RunId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Move a queued run within the queue, {"to": "first"}, or give it a priority, {"priority": 1}: higher ones start first."""
    return actions.move(services, run_id, body)


@router.post("/runs/{run_id}/clone", status_code=201, openapi_extra={"requestBody": CLONE_BODY})
def clone(run_id: RunId, services: ServicesDep, body: JsonBody) -> dict[str, str]:
    """Start a new run with the spec of this one, but for the fields in the body: {} repeats it."""
    if not isinstance(body, dict):
        raise Invalid('Send the fields that differ as a JSON object, for example {"seed": 2}.')
    return {"id": services.launcher.clone(run_id, body), "state": "queued"}


@router.delete("/runs/{run_id}")
def delete(run_id: RunId, services: ServicesDep) -> dict[str, int]:
    """Delete a run that is over, with its curves, model and log."""
    return {"freed_bytes": actions.delete_run(services, run_id)}


@router.get("/runs/{run_id}/log", response_class=StreamingResponse)
def log(run_id: RunId, services: ServicesDep) -> StreamingResponse:
    """The log as text."""
    return StreamingResponse(
        run_log.text(services.database, services.files, run_id), media_type="text/plain; charset=utf-8"
    )


@router.head("/runs/{run_id}/checkpoint.zip", response_class=FileResponse, include_in_schema=False)
@router.get("/runs/{run_id}/checkpoint.zip", response_class=FileResponse)
def checkpoint(run_id: RunId, services: ServicesDep) -> FileResponse:
    """The finished model as a Hugging Face folder. Range works; 409 while there is none."""
    path = actions.checkpoint_path(services, run_id)
    return Download(path, "application/zip", f"headstart-{run_id}.zip")


@router.head("/runs/{run_id}/adapter.zip", response_class=FileResponse, include_in_schema=False)
@router.get("/runs/{run_id}/adapter.zip", response_class=FileResponse)
def adapter(run_id: RunId, services: ServicesDep) -> FileResponse:
    """What a run with LoRA learned, in peft's format; 404 for another strategy."""
    path = actions.adapter_path(services, run_id)
    return Download(path, "application/zip", f"headstart-{run_id}-adapter.zip")


@router.post("/runs/{run_id}/interpolate", openapi_extra={"requestBody": ALPHA_BODY})
def interpolate(run_id: RunId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Make another point between the head-only and the fine-tuned model the download: {"alpha": 0.6}."""
    return move(services, run_id, body)


@router.post("/runs/{run_id}/predict", openapi_extra={"requestBody": INPUTS_BODY})
def predict(run_id: RunId, services: ServicesDep, body: JsonBody) -> dict[str, Any]:
    """Predict up to 1,000 inputs with the finished model; the outputs stand in the order of the inputs. More are 413: send them in parts."""
    return {"outputs": actions.predict(services, run_id, body)}
