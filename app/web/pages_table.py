"""Pages: all rows of a data set in a table that edits, the views for labels and entities, and the forms of both for browsers without scripts."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from app.core.errors import Invalid, NotFound
from app.datasets.changes import parse_change
from app.datasets.search import Query as Wanted
from app.datasets.steps import parse_step
from app.web import marking, table
from app.web.body import FormFields
from app.web.pages_data import redirect
from app.web.services import DatasetId, ServicesDep

router = APIRouter(include_in_schema=False, prefix="/data/{dataset_id}")
PAGE = 50  # rows on the page without scripts
Column = Annotated[str, Query(max_length=1000)]


@router.get("/rows")
def rows(
    request: Request,
    dataset_id: DatasetId,
    services: ServicesDep,
    text: Column = "",
    label: Column = "",
    q: Annotated[str, Query(max_length=1000)] = "",
    only: Annotated[str, Query(max_length=1001, description="=VALUE of the label, or changed")] = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    row: Annotated[int | None, Query(ge=-(2**31), lt=2**62)] = None,
) -> Response:
    """The table. `row`: the one whose form is open, without scripts."""
    view = services.datasets.view(dataset_id)
    setup = table.setup(services, view, text, label)
    by_label = setup.label if only.startswith("=") else None
    wanted = Wanted(q.strip(), by_label, only[1:] if by_label else "")
    page = services.table.window(dataset_id, offset, PAGE, wanted, only == "changed")
    fields = {"text": text, "label": label, "q": q, "only": only}

    def address(**more: Any) -> str:
        query = urlencode(
            {name: value for name, value in {**fields, **more}.items() if value not in ("", None)}
        )
        return f"/data/{dataset_id}/rows{'?' if query else ''}{query}"

    return services.pages.render(
        request,
        "rows.html",
        dataset=view,
        setup=setup,
        edits=services.edits.look(dataset_id),
        page=page,
        asked=fields,
        address=address,
        offset=offset,
        before=max(0, offset - PAGE) if offset else None,
        after=offset + PAGE if offset + PAGE < page["total"] else None,
        opened=row,
        back=address(offset=offset or None),
    )


@router.get("/label")
def label_texts(
    request: Request, dataset_id: DatasetId, services: ServicesDep, text: Column = "", label: Column = ""
) -> Response:
    """One text at a time, to be given a label."""
    view = services.datasets.view(dataset_id)
    setup = table.setup(services, view, text, label)
    about = ((view["profile"] or {}).get("columns") or {}).get(setup.label) or {}
    query = urlencode({name: value for name, value in (("text", text), ("label", label)) if value})
    address = f"/data/{dataset_id}/label{'?' if query else ''}{query}"
    return services.pages.render(
        request,
        "label.html",
        dataset=view,
        setup=setup,
        edits=services.edits.look(dataset_id),
        empty=about.get("empty", 0),
        takes_column=table.takes_column(view, setup),
        back=address,
    )


@router.get("/entities")
def entities(
    request: Request, dataset_id: DatasetId, services: ServicesDep, words: Column = "", marks: Column = ""
) -> Response:
    """One text at a time, in which entities are marked."""
    view = services.datasets.view(dataset_id)
    columns = marking.columns_of(view, words, marks)
    about = ((view["profile"] or {}).get("columns") or {}).get(columns.marks) or {}
    query = urlencode({name: value for name, value in (("words", words), ("marks", marks)) if value})
    return services.pages.render(
        request,
        "entities.html",
        dataset=view,
        setup=marking.setup(services, view, columns),
        edits=services.edits.look(dataset_id),
        empty=about.get("empty", 0),
        query=query,
        back=f"/data/{dataset_id}/entities{'?' if query else ''}{query}",
    )


@router.post("/column")
def new_column(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """A column for labels or entities, where there is none yet; then on to labelling."""
    name = form.get("name", "").strip()
    services.versions.apply(dataset_id, parse_step({"kind": "column", "name": name}))
    if form.get("for") == "entities":
        query = {"words": form.get("words", ""), "marks": name}
        return redirect(f"/data/{dataset_id}/entities?{urlencode(query)}")
    return redirect(f"/data/{dataset_id}/label?{urlencode({'label': name})}")


@router.post("/edits/row")
def edit_row(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """The form of one row: its cells, or whether it stays."""
    try:
        row = int(form.get("row", ""))
    except ValueError as error:
        raise Invalid("The form names no row.") from error
    if form.get("do") in ("drop", "restore"):
        services.edits.change(dataset_id, parse_change({form["do"]: [row]}))
        return _back(dataset_id, form)
    there = services.edits.rows(dataset_id, [row])
    if not there:
        raise NotFound(f"Row {row} is gone. Look at the rows again.")
    now, cells = there[0]["cells"], []
    for name, value in _typed(form).items():
        before = _lines(form.get(f"before:{name}", ""))
        if name in now and value != before:
            # A form sends every end of a line as CR LF: what only differs in that has not changed.
            seen = now[name] if _lines(now[name]) == before else before
            cells.append({"row": row, "column": name, "value": value, "before": seen})
    if cells:
        services.edits.change(dataset_id, parse_change({"cells": cells}))
    return _back(dataset_id, form)


@router.post("/edits/add")
def add(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    """One more row."""
    services.edits.change(dataset_id, parse_change({"add": [_typed(form)]}))
    return _back(dataset_id, form)


@router.post("/edits/undo")
def undo(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    services.edits.undo(dataset_id)
    return _back(dataset_id, form)


@router.post("/edits/redo")
def redo(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    services.edits.redo(dataset_id)
    return _back(dataset_id, form)


@router.post("/edits/discard")
def discard(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    services.edits.discard(dataset_id)
    return _back(dataset_id, form)


@router.post("/edits/save")
def save(dataset_id: DatasetId, services: ServicesDep, form: FormFields) -> Response:
    expected = form.get("expected", "")
    services.edits.save(dataset_id, int(expected) if expected.isdecimal() and len(expected) < 10 else None)
    return _back(dataset_id, form)


def _typed(form: dict[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("value:"): _lines(value)
        for name, value in form.items()
        if name.startswith("value:")
    }


def _lines(value: str) -> str:
    return value.replace("\r\n", "\n")


def _back(dataset_id: str, form: dict[str, str]) -> Response:
    """To the page that the form was on, one of ours."""
    back = form.get("back", "")
    ours = back.startswith((f"/data/{dataset_id}", "/runs/")) and back.isprintable() and "\\" not in back
    return redirect(back if ours else f"/data/{dataset_id}/rows")
