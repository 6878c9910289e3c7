"""Pages: one run, the parts of its page that change while it lives, its charts, and its actions."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.core.errors import NotFound
from app.tasks import TASKS
from app.web import actions, show, standing
from app.web.body import FormFields
from app.web.charts import figures
from app.web.data_tab import WantedDep
from app.web.heldout import AskedDep
from app.web.interpolate import move
from app.web.pages_data import redirect
from app.web.services import RunId, ServicesDep

router = APIRouter(include_in_schema=False)
# Parts of the page that a script replaces as the run goes on.
PARTS = ("head", "progress", "notice", "kpis", "results", "errors", "data", "try", "files", "log", "spec")


@router.get("/charts.json")
def charts(
    theme: Annotated[Literal["light", "dark"], Query()] = "light",
    task: Annotated[str, Query(max_length=40)] = "classification",
) -> dict[str, Any]:
    """The figures, without data: the same for every run of a task. `task` empty: those that any run has."""
    if task and task not in TASKS:
        raise NotFound(f"There is no task {task!r} to draw charts for; there are {', '.join(TASKS)}.")
    return figures(theme, standing.curves_of(task))


@router.get("/runs/{run_id}")
def one(
    request: Request, run_id: RunId, services: ServicesDep, asked: AskedDep, wanted: WantedDep
) -> Response:
    """The page of a run."""
    page = show.run_page(services, run_id, asked, wanted)
    return services.pages.render(request, "run.html", **page, tried=None)


@router.get("/runs/{run_id}/parts")
def parts(run_id: RunId, services: ServicesDep, asked: AskedDep, wanted: WantedDep) -> dict[str, Any]:
    """The parts of the page as they are now, and the event number that they include."""
    page = show.run_page(services, run_id, asked, wanted)
    made = {name: services.pages.fragment(f"run/_{name}.html", **page, tried=None) for name in PARTS}
    return {
        "seq": page["run"]["seq"],
        "state": page["run"]["state"],
        "before": page["before"],
        "parts": made,
    }


@router.get("/runs/{run_id}/errors")
def errors(run_id: RunId, services: ServicesDep, asked: AskedDep) -> Response:
    """The error browser alone, for a script that pages and filters."""
    part = show.errors_part(services, run_id, asked)
    return HTMLResponse(services.pages.fragment("run/_errors.html", **part))


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: RunId, services: ServicesDep) -> Response:
    """Cancel, then the page again."""
    actions.cancel(services, run_id)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/{run_id}/pause")
def pause(run_id: RunId, services: ServicesDep) -> Response:
    """Pause, then the page again."""
    actions.pause(services, run_id)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/{run_id}/resume")
def resume(run_id: RunId, services: ServicesDep) -> Response:
    """Resume, then the page again."""
    actions.resume(services, run_id)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/{run_id}/retry")
def retry(run_id: RunId, services: ServicesDep) -> Response:
    """Try again, then the page."""
    actions.retry(services, run_id)
    return redirect(f"/runs/{run_id}")


@router.post("/runs/{run_id}/move")
def move_in_queue(run_id: RunId, services: ServicesDep, form: FormFields) -> Response:
    """Move within the queue, then the page whose button it was."""
    actions.move(services, run_id, {"to": form.get("to")})
    return redirect("/" if form.get("back") == "list" else f"/runs/{run_id}")


@router.post("/runs/{run_id}/interpolate")
def interpolate(run_id: RunId, services: ServicesDep, form: FormFields) -> Response:
    """Another point of the line becomes the download, then the page again."""
    try:
        alpha: float | str = float(form.get("alpha") or "")
    except ValueError:
        alpha = form.get("alpha") or ""
    move(services, run_id, {"alpha": alpha})
    return redirect(f"/runs/{run_id}#results")


@router.post("/runs/{run_id}/delete")
def delete(run_id: RunId, services: ServicesDep) -> Response:
    """Delete, then the list."""
    actions.delete_run(services, run_id)
    return redirect("/")
