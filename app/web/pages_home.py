"""Pages: the list of runs, and the models on offer."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.web import show, uploads
from app.web.actions import sample_bytes
from app.web.api_models import model_view
from app.web.pages_data import redirect
from app.web.services import ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(request: Request, services: ServicesDep, q: str = "") -> Response:
    """The runs, newest first; without any, where to begin."""
    return services.pages.render(
        request,
        "home.html",
        rows=show.run_rows(services, q),
        **show.worker_rows(services),
        query=q,
        datasets=services.datasets.views()[:5],
        free=services.files.free_bytes(),
    )


@router.get("/runs/rows")
def rows(services: ServicesDep, q: str = "") -> HTMLResponse:
    """The table's rows alone: what the list fetches when a run begins or ends."""
    return HTMLResponse(services.pages.fragment("_run_rows.html", rows=show.run_rows(services, q), query=q))


@router.get("/workers")
def workers(services: ServicesDep) -> HTMLResponse:
    """The workers alone: what the list fetches when one comes, goes or falls silent."""
    return HTMLResponse(services.pages.fragment("_workers.html", **show.worker_rows(services)))


@router.post("/sample")
async def sample(services: ServicesDep) -> Response:
    """The sample data set, then its page."""
    view = await uploads.receive_bytes(services, "sample.csv", sample_bytes())
    return redirect(f"/data/{view['id']}")


@router.get("/models")
def models(request: Request, services: ServicesDep) -> Response:
    """The models on offer."""
    offered = [{**model_view(model), "size": model.size()} for model in services.models.offered()]
    return services.pages.render(
        request,
        "models.html",
        models=offered,
        offline=services.models.offline,
        folder=services.settings.models_dir,
    )
