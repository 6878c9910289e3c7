"""Windows of the current version as it will be with its edits: what the table and the labelling view show."""

from typing import Any

from app.core.errors import NotFound
from app.core.files import Files
from app.datasets import rows as parquet
from app.datasets.edits import Edits, shown, shown_new, touched
from app.datasets.journal import Pending
from app.datasets.presence import still_there
from app.datasets.rows import LINE, ROW_ID
from app.datasets.search import Query, Searches


class Table:
    """Safe to share between threads."""

    def __init__(self, files: Files, edits: Edits) -> None:
        self._files, self._edits, self._searches = files, edits, Searches()

    def window(
        self,
        dataset_id: str,
        offset: int,
        limit: int,
        query: Query | None = None,
        changed: bool = False,
        cut: int | None = None,
    ) -> dict[str, Any]:
        """Rows offset … offset+limit of those that `query` means, the added ones behind the others.

        A row counts by what is saved, or by what it was when it was added, so that it stays in its place while it is edited. `changed`: only
        rows that have an edit. `cut`: so many characters of each cell at most; `cut` of a row names the cells that have more. `rows`: how many there are; `total`: how many are meant. Raises NotFound; Conflict unless the data
        set is ready. A column that is not there is NotFound too.
        """
        query = query or Query()
        version, pending = self._edits.snapshot(dataset_id)
        if query.column is not None and query.column not in version.columns:
            message = f"is no column; there are: {', '.join(version.columns)}"
            raise NotFound.from_problems(
                "The rows can't be searched", [{"where": query.column, "message": message}]
            )
        folder = self._files.version(dataset_id, version.version)
        new = [
            row
            for row in sorted(pending.added, reverse=True)
            if query.fits({name: pending.came[row].get(name, "") for name in version.columns})
        ]
        with still_there(dataset_id):
            if changed:
                saved, items = self._changed(folder, pending, query, offset, limit)
            elif query.is_all:
                saved = version.rows
                page = parquet.read_page(folder, offset, limit)
                items = [
                    shown(pending, offset + place, {ROW_ID: one["row_id"], LINE: one["line"], **one["cells"]})
                    for place, one in enumerate(page)
                ]
            else:
                found = self._searches.find(folder, version.sha256, query)
                saved = len(found.positions)
                items = [shown(pending, place, row) for place, row in found.window(folder, offset, limit)]
        first = max(0, offset - saved)
        items += [shown_new(pending, row, version.columns) for row in new[first : first + limit - len(items)]]
        return {
            "version": version.version,
            "offset": offset,
            "rows": version.rows + len(pending.added),
            "total": saved + len(new),
            "columns": version.columns,
            "items": [{**one, **_shortened(one, cut)} for one in items],
        }

    def _changed(
        self, folder: Any, pending: Pending, query: Query, offset: int, limit: int
    ) -> tuple[int, list[dict[str, Any]]]:
        ids = [row for row in touched(pending) if row >= 0]
        rows = [shown(pending, *one) for one in parquet.read_placed(folder, ids).values()]
        meant = sorted(
            (one for one in rows if query.fits({**one["cells"], **one["saved"]})),
            key=lambda one: int(one["position"]),
        )
        return len(meant), meant[offset : offset + limit]


def _shortened(row: dict[str, Any], cut: int | None) -> dict[str, Any]:
    longer = [name for name, cell in row["cells"].items() if cut is not None and len(cell) > cut]
    return {"cells": {**row["cells"], **{name: row["cells"][name][:cut] for name in longer}}, "cut": longer}
