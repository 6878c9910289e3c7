"""Pages: the tab of a run's page on its data, and what a press on its buttons does. All of it works without scripts."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse

from app.web import actions, comparing, data_tab, suspects
from app.web.body import FormFields
from app.web.data_tab import WantedDep
from app.web.pages_data import redirect
from app.web.services import RunId, ServicesDep

router = APIRouter(include_in_schema=False, prefix="/runs/{run_id}")


@router.get("/data")
def part(run_id: RunId, services: ServicesDep, wanted: WantedDep) -> Response:
    """The tab alone, for the script that follows a search and pages."""
    view = actions.run_view(services, run_id)
    shown = data_tab.section(services, view, wanted)
    return HTMLResponse(services.pages.fragment("run/_data.html", run=view, over=True, **shown))


@router.post("/suspects")
def search(run_id: RunId, services: ServicesDep, form: FormFields) -> Response:
    """Look for wrong labels, or stop looking; then the page again."""
    if form.get("stop"):
        suspects.cancel(services, run_id)
    else:
        suspects.search(services, run_id, form.get("model", ""))
    return redirect(f"/runs/{run_id}#data")


@router.post("/suspects/{row}")
def decide(
    run_id: RunId, row: Annotated[int, Path(ge=0, lt=2**62)], services: ServicesDep, form: FormFields
) -> Response:
    """Correct a label, or say that it is right; then the page again."""
    # The form of a number has its field filled in whatever is pressed.
    decision: dict[str, Any] = (
        {"right": form["right"] == "yes"} if "right" in form else {"label": form.get("label", "")}
    )
    suspects.decide(services, run_id, row, decision)
    at = form.get("at", "")
    return redirect(f"/runs/{run_id}{f'?at={at}' if at.isdecimal() and int(at) else ''}#suspect-{row}")


@router.post("/again")
def again(run_id: RunId, services: ServicesDep) -> Response:
    """The same run on the corrected data, then its page."""
    return redirect(f"/runs/{comparing.again(services, run_id)}")
