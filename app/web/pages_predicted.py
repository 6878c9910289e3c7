"""Pages: the files that are predicted with a run's model, and what a form can do with them."""

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from app.core.errors import Invalid, NotFound
from app.web import predicted
from app.web.api_predicted import FileId
from app.web.body import FormFields
from app.web.pages_data import redirect
from app.web.services import RunId, ServicesDep
from app.web.uploads import file_chunks

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run_id}/files")
def part(run_id: RunId, services: ServicesDep) -> Response:
    """The section alone, for the script that follows the progress."""
    made = services.pages.fragment("run/_files.html", **predicted.section(services, run_id))
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
