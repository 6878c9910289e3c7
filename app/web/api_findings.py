"""JSON API: what the data doctor finds in a data set, the rows of each finding, and its fixes."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.core.errors import Invalid
from app.datasets.doctor.report import Report
from app.web import doctor
from app.web.api_versions import EXPECTED, asked, body
from app.web.body import JsonBody
from app.web.doctor import WantedDep
from app.web.services import DatasetId, Services, ServicesDep

router = APIRouter(prefix="/api/datasets/{dataset_id}", tags=["data sets"])
PATIENCE_SECONDS = (
    2.0  # so long the first question waits, so that the answer about a small file is there at once
)
FIX_BODY = body(
    {"finding": {"type": "string"}, "fix": {"type": "string"}, "expected": EXPECTED}, ["finding", "fix"]
)
MARK_BODY = body({"marked": {"type": "boolean", "default": True}}, [])


@router.get("/findings")
def findings(
    dataset_id: DatasetId,
    services: ServicesDep,
    wanted: WantedDep,
    again: Annotated[bool, Query(description="once more, if it failed")] = False,
) -> dict[str, Any]:
    """What is wrong with the current version, the worst first. `state` is waiting or working until `findings` is there."""
    return doctor.look(services, _ready(services, dataset_id), wanted, again, PATIENCE_SECONDS)


@router.get("/findings/{finding}/rows")
def rows(
    dataset_id: DatasetId,
    finding: str,
    services: ServicesDep,
    wanted: WantedDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
    q: Annotated[str, Query(max_length=1000, description="only rows with this in one of their cells")] = "",
) -> dict[str, Any]:
    """The rows of a finding, those that belong together one after the other."""
    return _report(services, dataset_id, wanted).rows(finding, offset, limit, q)


@router.post("/findings/{finding}/mark", openapi_extra={"requestBody": MARK_BODY})
def mark(
    dataset_id: DatasetId, finding: str, services: ServicesDep, wanted: WantedDep, body: JsonBody
) -> dict[str, Any]:
    """Remember that the rows of a finding were looked at and stay; with {"marked": false} forget it."""
    given = asked(body, ("marked",), "the mark")
    marked = given.get("marked", True)
    if not isinstance(marked, bool):
        raise Invalid.from_problems(
            "The mark can't be used", [{"where": "marked", "message": "must be true or false"}]
        )
    _report(services, dataset_id, wanted).mark(finding, marked)
    return {"finding": finding, "marked": marked}


@router.post("/fixes", status_code=201, openapi_extra={"requestBody": FIX_BODY})
def fix(
    dataset_id: DatasetId,
    services: ServicesDep,
    wanted: WantedDep,
    body: JsonBody,
    preview: Annotated[bool, Query(description="only count what the fix would do")] = False,
) -> dict[str, Any]:
    """Do one of the fixes of a finding: a new version, which is then the current one."""
    given = asked(body, ("finding", "fix", "expected"), "the fix")
    problems = [
        {"where": name, "message": "is required, as a string"}
        for name in ("finding", "fix")
        if not isinstance(given.get(name), str)
    ]
    if problems:
        raise Invalid.from_problems("The fix can't be used", problems)  # type: ignore[arg-type]
    view = _ready(services, dataset_id)
    step = _report(services, dataset_id, wanted).step(given["finding"], given["fix"])
    if preview:
        return {"preview": True, "title": step.title, **asdict(services.versions.preview(dataset_id, step))}
    # The findings are those of this version: whatever came between has other ones.
    expected = given.get("expected") or view["version"]
    return services.versions.apply(dataset_id, step, given["finding"], expected)


def _ready(services: Services, dataset_id: str) -> dict[str, Any]:
    services.datasets.require_ready(dataset_id)
    return services.datasets.view(dataset_id)


def _report(services: Services, dataset_id: str, wanted: doctor.Wanted) -> Report:
    view = _ready(services, dataset_id)
    return services.examiner.report(dataset_id, view["version"], doctor.question(services, view, wanted))
