"""Pages: the data doctor's part of a data set's page, its fixes, undo and redo. All of it works without scripts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.core.errors import Conflict
from app.web import doctor
from app.web.body import FormFields
from app.web.doctor import Wanted
from app.web.services import DatasetId, Services, ServicesDep

router = APIRouter(include_in_schema=False, prefix="/data/{dataset_id}")


def wanted_of(text: str, label: str, model: str = "") -> Wanted:
    """What the page was asked to show: as guessed unless a text column is named."""
    return Wanted((text,) if text else (), label if text else None, model or "starter")


@router.get("/doctor")
def part(
    dataset_id: DatasetId,
    services: ServicesDep,
    text: Annotated[str, Query(max_length=1000)] = "",
    label: Annotated[str, Query(max_length=1000)] = "",
    model: Annotated[str, Query(max_length=300)] = "",
    finding: Annotated[str, Query(max_length=100)] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    q: Annotated[str, Query(max_length=1000)] = "",
    again: bool = False,
) -> HTMLResponse:
    """The part by itself, for the script that puts it into the page."""
    view = services.datasets.view(dataset_id)
    if view["state"] != "ready":
        raise Conflict(
            f"{view['name']} is {'still being read' if view['state'] == 'reading' else 'not readable'}."
        )
    context = doctor.context(services, view, wanted_of(text, label, model), finding, offset, q.strip(), again)
    return HTMLResponse(services.pages.fragment("_doctor.html", **context))


@router.post("/fix")
def fix(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """One click on a fix: a new version."""
    view, wanted = _asked(services, dataset_id, form)
    report = services.examiner.report(dataset_id, view["version"], doctor.question(services, view, wanted))
    finding = form.get("finding", "")
    # A page that was left open shows the findings of another version: its buttons mean other rows.
    expected = int(form["expected"]) if form.get("expected", "").isdecimal() else view["version"]
    services.versions.apply(dataset_id, report.step(finding, form.get("fix", "")), finding, expected)
    return _back(dataset_id, wanted)


@router.post("/mark")
def mark(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """Looked at, and fine as it is; or not."""
    view, wanted = _asked(services, dataset_id, form)
    report = services.examiner.report(dataset_id, view["version"], doctor.question(services, view, wanted))
    report.mark(form.get("finding", ""), form.get("marked") != "no")
    return _back(dataset_id, wanted)


@router.post("/undo")
def undo(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    services.versions.undo(dataset_id)
    return _back(dataset_id, wanted_of(form.get("text", ""), form.get("label", ""), form.get("model", "")))


@router.post("/redo")
def redo(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    services.versions.redo(dataset_id)
    return _back(dataset_id, wanted_of(form.get("text", ""), form.get("label", ""), form.get("model", "")))


def _asked(services: Services, dataset_id: str, form: dict[str, str]) -> tuple[dict[str, Any], Wanted]:
    view = services.datasets.view(dataset_id)
    return view, wanted_of(form.get("text", ""), form.get("label", ""), form.get("model", ""))


def _back(dataset_id: str, wanted: Wanted) -> RedirectResponse:
    query = wanted.query()
    return RedirectResponse(f"/data/{dataset_id}{'?' if query else ''}{query}#doctor", status_code=303)
