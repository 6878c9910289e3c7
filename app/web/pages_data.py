"""Pages: the data sets; upload, preview, other ways of reading, delete."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from app.core.errors import NotFound
from app.core.files import folder_bytes
from app.datasets.column_findings import told_by_the_doctor
from app.datasets.doctor.question import guessed_label, kind_of
from app.datasets.encoding_preview import Reading
from app.datasets.options import AUTO, DELIMITERS, FORMATS, ReadOptions
from app.datasets.upload import ORIGINAL
from app.web import doctor, entities, pictures, show, uploads
from app.web.body import FormFields
from app.web.download import Download
from app.web.pages_doctor import wanted_of
from app.web.services import DatasetId, Services, ServicesDep

router = APIRouter(include_in_schema=False)
PREVIEW_ROWS = 8  # what is wrong with them stands below, and is looked for
ENCODINGS = (
    "utf-8",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-15",
    "utf-16",
    "mac-roman",
    "shift_jis",
    "gb18030",
)


def redirect(address: str) -> RedirectResponse:
    """After a form: the browser goes on with GET, so that a reload sends nothing twice."""
    return RedirectResponse(address, status_code=303)


@router.get("/data")
def listed(request: Request, services: ServicesDep) -> Response:
    """All data sets, and the place to drop a file."""
    return services.pages.render(
        request,
        "data.html",
        datasets=services.datasets.views(),
        free=services.files.free_bytes(),
        offline=services.settings.offline,
    )


@router.post("/data")
async def upload(request: Request, services: ServicesDep) -> Response:
    """The plain form, for browsers without scripts; the others send PUT /api/datasets."""
    view = await uploads.receive_form(request, services)
    return redirect(f"/data/{view['id']}")


@router.post("/data/fetch")
async def fetch(services: ServicesDep, form: FormFields) -> Response:
    """Fetch the file at the address that was typed."""
    view = await uploads.fetch(services, form.get("url", ""))
    return redirect(f"/data/{view['id']}")


@router.get("/data/{dataset_id}")
def one(
    request: Request,
    dataset_id: DatasetId,
    services: ServicesDep,
    text: str = "",
    label: str = "",
    model: Annotated[str, Query(max_length=300)] = "",
    finding: Annotated[str, Query(max_length=100)] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    q: Annotated[str, Query(max_length=1000)] = "",
    again: bool = False,
) -> Response:
    """A data set: how reading goes, then its first rows, its labels and what is wrong with it.

    `finding`, `offset`, `q`: the rows of a finding that the doctor shows.
    """
    view = services.datasets.view(dataset_id)
    context = dataset_context(services, view, text, label)
    if view["state"] == "ready":
        wanted = wanted_of(text, label, model)
        context |= doctor.context(services, view, wanted, finding, offset, q.strip(), again)
        context["problems"] = _not_told_twice(view, context)
    return services.pages.render(request, "dataset.html", **context)


@router.get("/data/{dataset_id}/labels")
def labels(dataset_id: DatasetId, services: ServicesDep, label: str = "") -> HTMLResponse:
    """The bars of a column's values: what the page fetches when another label column is chosen."""
    view = services.datasets.view(dataset_id)
    return HTMLResponse(services.pages.fragment("_labels.html", **label_context(view, label)))


@router.get("/data/{dataset_id}/original", response_class=FileResponse)
def original(dataset_id: DatasetId, services: ServicesDep) -> FileResponse:
    """The uploaded file as it came."""
    view = services.datasets.view(dataset_id)
    path = services.files.version(dataset_id, 1) / ORIGINAL
    if not path.is_file():
        raise NotFound(f"The original of {view['name']} is gone.")
    return Download(path, "application/octet-stream", view["name"])


@router.post("/data/{dataset_id}/reread")
async def reread(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """Read the original again with the options of the form."""
    headers: dict[str, bool | Literal["auto"]] = {"yes": True, "no": False}
    options = ReadOptions(
        encoding=form.get("encoding", "").strip() or AUTO,
        delimiter={"tab": "\t"}.get(form.get("delimiter", ""), form.get("delimiter")) or AUTO,
        header=headers.get(form.get("header", ""), AUTO),
        skip_ragged="skip_ragged" in form,
        format=form.get("format") or AUTO,
        sheet=form.get("sheet", "").strip() or AUTO,
    )
    await uploads.reread(services, dataset_id, options)
    return redirect(f"/data/{dataset_id}")


@router.post("/data/{dataset_id}/reading")
async def reading(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """Read the original in the way whose button was pressed; everything else stays as it was asked."""
    options = ReadOptions(
        encoding=form.get("encoding", "").strip() or None,
        header={"yes": True, "no": False}.get(form.get("header", "")),
        skip_ragged=True if "skip_ragged" in form else None,
    )
    await uploads.reread(services, dataset_id, options)
    return redirect(f"/data/{dataset_id}")


@router.post("/data/{dataset_id}/delete")
def delete(dataset_id: DatasetId, services: ServicesDep) -> Response:
    """Delete, then the list."""
    services.datasets.delete(dataset_id)
    services.examiner.forget(dataset_id)
    return redirect("/data")


def dataset_context(
    services: Services, view: dict[str, Any], text: str = "", label: str = ""
) -> dict[str, Any]:
    """What the page of a data set shows."""
    ready = view["state"] == "ready"
    profile = view["profile"] or {}
    roles = profile.get("roles", {})  # a profile of an earlier Headstart has none
    chosen = chosen_columns(view, text, label)
    page = services.table.window(view["id"], 0, PREVIEW_ROWS) if ready else None
    users = [row for row in show.run_rows(services) if row["dataset"] == view["id"]]
    return {
        "dataset": view,
        "chosen": chosen,
        "page": page,
        "profile": profile.get("columns", {}),
        "users": users,
        "edits": services.edits.look(view["id"]) if ready else None,
        "back": f"/data/{view['id']}",
        "frees": folder_bytes(services.files.dataset(view["id"])),
        "entities": entities.preview(page["items"], roles) if page else [],
        "roles": roles,
        # Where no column can be a label there is nothing to choose.
        "fixed": "tokens" in roles or len(view["columns"] or []) == 1,
        "encodings": ENCODINGS,
        "readings": _readings(services, view),
        "formats": FORMATS,
        "delimiters": {"tab" if key == "\t" else key: name for key, name in DELIMITERS.items()},
        **(
            label_context(view, chosen["label"])
            if ready
            else {"bars": None, "labels_are": None, "label_column": "", "distinct": None}
        ),
    }


def _not_told_twice(view: dict[str, Any], context: dict[str, Any]) -> list[dict[str, Any]]:
    """What reading found, without what it says of columns that the doctor tells of: with their rows, and a button that mends them."""
    told = context["doctor"]
    if told is None or told["state"] == "failed":
        return list(view["problems"])
    examined = [*told["columns"]["text"], told["columns"]["label"]]
    return [one for one in view["problems"] if not told_by_the_doctor(one, examined)]


def _readings(services: Services, view: dict[str, Any]) -> tuple[list[int], list[Reading]]:
    """What the user is asked to look at where the encoding was guessed, or could not be."""
    doubtful = view["options"]["encoding_guessed"] or (view["error"] or {}).get("kind") == "encoding"
    if not doubtful or view["state"] == "reading":
        return [], []
    return services.datasets.encodings(view["id"])


def chosen_columns(view: dict[str, Any], text: str = "", label: str = "") -> dict[str, str]:
    """The text and the label column: as asked, else as guessed, else empty."""
    columns, profile = view["columns"] or [], view["profile"] or {}
    return {
        "text": text if text in columns else profile.get("text") or "",
        "label": label if label in columns else guessed_label(profile) or "",
    }


def label_context(view: dict[str, Any], label: str) -> dict[str, Any]:
    """Bars of the values of column `label`; None where it has too many for that."""
    about = ((view["profile"] or {}).get("columns") or {}).get(label) or {}
    return {
        "bars": pictures.label_bars(about.get("counts")),
        "labels_are": kind_of(about),
        "label_column": label,
        "distinct": about.get("distinct"),
    }
