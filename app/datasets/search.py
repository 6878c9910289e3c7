"""Which rows of a version a user looks for: all rows are read once, and what was found is kept for the next windows."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.datasets import rows as parquet
from app.datasets.rows import LINE, ROW_ID, ROWS_FILE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

KEPT = 4  # searches
# So much of what was found is kept as it is: a few rows may lie in as many row groups, and each window would read those.
_KEPT_ROWS, _KEPT_BYTES = 2000, 16 * 2**20


@dataclass(frozen=True)
class Query:
    """`text`: in one of the cells, capital letters aside; `value`: what stands in `column`, white space around it aside. Both
    count. Nothing: all rows."""

    text: str = ""
    column: str | None = None
    value: str = ""

    @property
    def is_all(self) -> bool:
        return not self.text and self.column is None

    def fits(self, cells: dict[str, str]) -> bool:
        """Whether a single row is meant."""
        if self.column is not None and cells.get(self.column, "").strip() != self.value.strip():
            return False
        text = self.text.casefold()
        return not text or any(text in cell.casefold() for cell in cells.values())


@dataclass(frozen=True)
class Found:
    """`positions`: of the rows, ascending; `rows`: they themselves, if they are few."""

    positions: "np.ndarray"
    rows: "pyarrow.Table | None"

    def window(self, folder: Path, offset: int, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """(position, the row with `__row_id` and `__line`) of the found rows offset … offset+limit."""
        places = self.positions[offset : offset + limit].tolist()
        if self.rows is not None:
            return list(zip(places, self.rows.slice(offset, limit).to_pylist(), strict=True))
        return list(parquet.read_at(folder, places).items())


class Searches:
    """Keeps the newest few results. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, Query], Found] = OrderedDict()

    def find(self, folder: Path, sha256: str, query: Query) -> Found:
        """`sha256`: of the version's content, which `folder` holds. Raises FileNotFoundError."""
        key = (sha256, query)
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = find(folder, query)
        with self._lock:
            self._found[key] = found
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return found


def find(folder: Path, query: Query) -> Found:
    """All rows that are meant."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    places: list[np.ndarray] = []
    kept: list[pyarrow.Table] | None = []
    count = size = begin = 0
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        for group in range(file.metadata.num_row_groups):
            # A column's value is looked for first: of the other columns nothing is read where no row has it.
            rows = file.metadata.row_group(group).num_rows
            mask = np.ones(rows, bool)
            if query.column is not None:
                mask = _has_value(
                    file.read_row_group(group, columns=[query.column])[query.column], query.value
                )
            block = None
            if query.text and mask.any():
                block = file.read_row_group(group)
                mask &= _has_text(block, query.text)
            here = np.flatnonzero(mask)
            places.append(begin + here)
            begin += rows
            count += len(here)
            if kept is not None and len(here) and count <= _KEPT_ROWS:
                kept.append((file.read_row_group(group) if block is None else block).take(pa.array(here)))
                size += kept[-1].nbytes
            if count > _KEPT_ROWS or size > _KEPT_BYTES:
                kept = None
    positions = np.concatenate(places) if places else np.empty(0, np.int64)
    return Found(positions, pa.concat_tables(kept).combine_chunks() if kept else None)


def _has_value(column: Any, value: str) -> "np.ndarray":
    import pyarrow.compute as pc

    found: np.ndarray = pc.equal(pc.utf8_trim_whitespace(column), value.strip()).to_numpy()
    return found


def _has_text(block: "pyarrow.Table", text: str) -> "np.ndarray":
    import numpy as np
    import pyarrow.compute as pc

    found = np.zeros(len(block), bool)
    for name in block.column_names:
        if name not in (ROW_ID, LINE):
            found |= pc.match_substring(block[name], text, ignore_case=True).to_numpy()
    return found
