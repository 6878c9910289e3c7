"""JSON API: the rows of a data set, in windows; searched, and with the edits that are not saved yet."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from app.core.errors import Conflict
from app.datasets.search import Query as Wanted
from app.web import marking
from app.web.services import DatasetId, ServicesDep

router = APIRouter(prefix="/api/datasets/{dataset_id}/rows", tags=["data sets"])


@router.get("")
def rows(
    dataset_id: DatasetId,
    services: ServicesDep,
    offset: Annotated[int, Query(ge=0, le=10**12)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
    version: Annotated[int | None, Query(ge=1, le=10**9)] = None,
    edits: Annotated[
        bool, Query(description="the current version as it will be when what is not saved yet is saved")
    ] = False,
    q: Annotated[str, Query(max_length=1000, description="only rows with this in one of their cells")] = "",
    column: Annotated[str | None, Query(max_length=1000, description="only rows with `value` here")] = None,
    value: Annotated[str, Query(max_length=1000, description="empty: rows without a value")] = "",
    changed: Annotated[bool, Query(description="only rows that have an edit")] = False,
    cut: Annotated[int | None, Query(ge=1, le=10**6, description="characters of a cell at most")] = None,
) -> dict[str, Any]:
    """A window of the rows, each with its permanent row_id and its line in the file. With `edits`, rows that are not saved yet come
    last, with negative ids, and `total` says how many rows the search found; it needs `edits`."""
    wanted = Wanted(q, column, value)
    # Parameters that don't go together; each of them alone is as the OpenAPI document has it.
    if value and column is None:
        raise Conflict("Name the column that the value stands in: add column=NAME.")
    if edits:
        if version is not None:
            raise Conflict("Edits are of the current version: leave out version, or edits.")
        return services.table.window(dataset_id, offset, limit, wanted, changed, cut)
    if changed or not wanted.is_all:
        raise Conflict("Searching is done in the current version: add edits=true.")
    return services.datasets.rows(dataset_id, offset, limit, version)


@router.get("/{row}/entities")
def entities(
    dataset_id: DatasetId,
    services: ServicesDep,
    row: Annotated[int, Path(ge=-(2**31), lt=2**62)],
    words: Annotated[
        str, Query(max_length=1000, description="the column of the tokens, or of the text; as guessed")
    ] = "",
    marks: Annotated[
        str, Query(max_length=1000, description="the column of the tags, or of the spans; as guessed")
    ] = "",
) -> dict[str, Any]:
    """A row of a tagging data set as words and the entities among them, with the edits that are not saved yet."""
    view = services.datasets.view(dataset_id)
    return marking.of_row(services, view, marking.columns_of(view, words, marks), row)
