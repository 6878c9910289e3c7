"""Pages: one run, the parts of its page that change while it lives, its charts, and its actions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from app.core.errors import HeadstartError
from app.web import actions, show
from app.web.body import FormFields
from app.web.charts import figures
from app.web.pages_data import redirect
from app.web.services import RunId, ServicesDep

router = APIRouter(include_in_schema=False)
# Parts of the page that a script replaces as the run goes on.
PARTS = ("head", "progress", "notice", "kpis", "results", "errors", "try", "log", "spec")


@router.get("/charts.json")
def charts(theme: Annotated[Literal["light", "dark"], Query()] = "light") -> dict[str, Any]:
    """The figures, without data: the same for every run."""
    return figures(theme)


@router.get("/runs/{run_id}")
def one(request: Request, run_id: RunId, services: ServicesDep) -> Response:
    """The page of a run."""
    return services.pages.render(request, "run.html", **show.run_page(services, run_id), tried=None)


@router.get("/runs/{run_id}/parts")
def parts(run_id: RunId, services: ServicesDep) -> dict[str, Any]:
    """The parts of the page as they are now, and the event number that they include."""
    page = show.run_page(services, run_id)
    made = {name: services.pages.fragment(f"run/_{name}.html", **page, tried=None) for name in PARTS}
    return {"seq": page["run"]["seq"], "state": page["run"]["state"], "parts": made}


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: RunId, services: ServicesDep) -> Response:
    """Cancel, then the page again."""
    actions.cancel(services, run_id)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/{run_id}/delete")
def delete(run_id: RunId, services: ServicesDep) -> Response:
    """Delete, then the list."""
    actions.delete_run(services, run_id)
    return redirect("/")


@router.post("/runs/{run_id}/try")
def try_it(request: Request, run_id: RunId, services: ServicesDep, form: FormFields) -> Response:
    """Try it without scripts: the page again, with the answer."""
    text = form.get("text", "")
    tried: dict[str, Any] = {"text": text, "output": None, "error": None}
    status = 200
    try:
        tried["output"] = actions.predict(services, run_id, {"inputs": [text]})[0]
    except HeadstartError as error:
        tried["error"], status = error.message, error.status
    return services.pages.render(
        request, "run.html", status=status, **show.run_page(services, run_id), tried=tried
    )
