"""Pages: the files that are predicted with a run's model, and what a form can do with them."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from app.core import runs
from app.core.errors import Invalid, NotFound
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES
from app.tasks import task
from app.web import predicted
from app.web.api_predicted import FileId
from app.web.body import FormFields
from app.web.pages_data import redirect
from app.web.services import RunId, Services, ServicesDep
from app.web.uploads import file_chunks

router = APIRouter(include_in_schema=False)


def section(services: Services, run_id: str, problem: str = "") -> dict[str, Any]:
    """What templates/run/_files.html shows."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    spec = RunSpec.model_validate(run.spec)
    over = run.state in FINAL_STATES
    can = over and task(run.task).predicts and services.files.model(run_id).is_dir()
    files = predicted.views(services, run_id) if can else []
    return {
        "run_id": run_id,
        "can_predict_files": can,
        "files": files,
        "file_columns": predicted.default_columns(spec),
        "file_problem": problem,
        "files_live": any(one["state"] in ("queued", "running") for one in files),
    }


@router.get("/runs/{run_id}/files")
def part(run_id: RunId, services: ServicesDep) -> Response:
    """The section alone, for the script that follows the progress."""
    made = services.pages.fragment("run/_files.html", **section(services, run_id))
    return Response(made, media_type="text/html; charset=utf-8")


@router.post("/runs/{run_id}/files")
async def upload(request: Request, run_id: RunId, services: ServicesDep) -> Response:
    """Upload without scripts: the form with its file."""
    form = await request.form(max_fields=20)
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid("Choose a file to predict.")
    columns = {
        role.removeprefix("column_"): value
        for role, value in form.items()
        if role.startswith("column_") and isinstance(value, str)
    }
    await predicted.receive(services, run_id, file.filename, file_chunks(file.read), file.size, columns)
    return redirect(f"/runs/{run_id}#try")


@router.post("/runs/{run_id}/files/{file_id}/{move}")
def move(run_id: RunId, file_id: FileId, move: str, services: ServicesDep, form: FormFields) -> Response:
    """Cancel, retry or delete, then the page again."""
    columns = {
        role.removeprefix("column_"): value for role, value in form.items() if role.startswith("column_")
    }
    if move == "cancel":
        predicted.cancel(services, run_id, file_id)
    elif move == "retry":
        predicted.retry(services, run_id, file_id, columns)
    elif move == "delete":
        predicted.delete(services, run_id, file_id)
    else:
        raise NotFound(f"There is nothing called {move!r} to do with a file.")
    return redirect(f"/runs/{run_id}#try")
