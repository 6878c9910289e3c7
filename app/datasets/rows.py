"""Rows at rest: one Parquet file a version, with the rows' identity and their content hash.

Columns: `__row_id` (int64, permanent, from 0), `__line` (int64, the physical line of the original where the row
begins) and the user's columns as strings.
"""

import contextlib
import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

ROW_ID, LINE = "__row_id", "__line"
ROWS_FILE = "rows.parquet"
PART_FILE = f".{ROWS_FILE}.part"


class ContentHash:
    """SHA-256 over column names, row ids and cells; the same however the rows are cut into blocks.

    Each column has two running hashes, of the cells' UTF-8 lengths (int64, little endian) and of their bytes one
    after the other, so that ("ab", "c") and ("a", "bc") differ. The result is the SHA-256 of all digests in JSON.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._ids = hashlib.sha256()
        self._cells = [(hashlib.sha256(), hashlib.sha256()) for _ in columns]

    def add(self, ids: "pyarrow.Array", cells: Sequence["pyarrow.Array"]) -> None:
        """One block: int64 ids and one large_string array a column, none of them a slice, none with nulls."""
        import numpy as np

        self._ids.update(ids.to_numpy().astype("<i8", copy=False).tobytes())
        for (lengths, data), array in zip(self._cells, cells, strict=True):
            _, offsets, content = array.buffers()
            ends = np.frombuffer(offsets, dtype=np.int64)[: len(array) + 1]
            lengths.update(np.diff(ends).astype("<i8", copy=False).tobytes())
            if content is not None:
                data.update(memoryview(content)[: int(ends[-1])])

    def hexdigest(self) -> str:
        cells = [[lengths.hexdigest(), data.hexdigest()] for lengths, data in self._cells]
        whole = json.dumps([self._columns, self._ids.hexdigest(), cells], ensure_ascii=False)
        return hashlib.sha256(whole.encode()).hexdigest()


class RowsWriter:
    """Writes blocks of rows, one row group each, to a file aside; `finish` gives it its name.

    Leaves nothing behind after `abort`.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.rows = 0
        self._hash = ContentHash(columns)
        self._path = folder / ROWS_FILE
        self._part = folder / PART_FILE
        fields = [(ROW_ID, pa.int64()), (LINE, pa.int64()), *((name, pa.string()) for name in columns)]
        self._schema = pa.schema(fields)
        # Dictionaries and statistics of texts only cost time; labels stay small through zstd all the same.
        self._writer = pq.ParquetWriter(
            self._part,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            write_statistics=False,
        )

    def write(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        """`columns`: the block's cells, column by column; `lines`: where each row begins."""
        import pyarrow as pa

        ids = pa.array(range(self.rows, self.rows + len(lines)), pa.int64())
        self._write(
            ids, pa.array(lines, pa.int64()), [pa.array(values, pa.large_string()) for values in columns]
        )

    def write_table(self, block: "pyarrow.Table") -> None:
        """A block of `rows.parquet` as it is: the rows keep their ids and lines."""
        import pyarrow as pa

        arrays = {name: _whole(block[name]) for name in block.column_names}
        ids, lines = arrays.pop(ROW_ID), arrays.pop(LINE)
        # A cast of a slice may keep its offset, which the content hash can't take.
        self._write(ids, lines, [_whole(array.cast(pa.large_string())) for array in arrays.values()])

    def _write(self, ids: "pyarrow.Array", lines: "pyarrow.Array", cells: "list[pyarrow.Array]") -> None:
        import pyarrow as pa

        self._hash.add(ids, cells)
        arrays = [ids, lines, *(array.cast(pa.string()) for array in cells)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), row_group_size=len(lines))
        self.rows += len(lines)

    def finish(self) -> str:
        """Makes the file durable; returns the content's SHA-256."""
        self._writer.close()
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self._part, self._path)
        return self._hash.hexdigest()

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # the disk may be full
            self._writer.close()
        self._part.unlink(missing_ok=True)


def _whole(column: Any) -> Any:
    """A chunked column, or a slice, as one array that begins at its buffers' begin."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    return column if column.offset == 0 else column.take(pa.array(range(len(column))))


def blocks(folder: Path, columns: Sequence[str] | None = None) -> "Iterator[pyarrow.Table]":
    """All rows, a row group at a time: `__row_id`, `__line` and the named columns (None: all)."""
    import pyarrow.parquet as pq

    wanted = None if columns is None else list(dict.fromkeys([ROW_ID, LINE, *columns]))
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        for group in range(file.metadata.num_row_groups):
            yield file.read_row_group(group, columns=wanted)


def content_sha256(folder: Path) -> str:
    """The content's SHA-256 by what is in the file now, as `RowsWriter.finish` gave it when it was written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / ROWS_FILE) as file:
        names = [name for name in file.schema_arrow.names if name not in (ROW_ID, LINE)]
    whole = ContentHash(names)
    for block in blocks(folder):
        whole.add(
            _whole(block[ROW_ID]), [_whole(_whole(block[name]).cast(pa.large_string())) for name in names]
        )
    return whole.hexdigest()


def read_page(folder: Path, offset: int, limit: int) -> list[dict[str, Any]]:
    """Rows offset … offset+limit as {"row_id", "line", "cells": {column: str}}; reads only their row groups."""
    import pyarrow.parquet as pq

    items: list[dict[str, Any]] = []
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        begin = 0
        for group in range(file.metadata.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            first, last = max(offset - begin, 0), min(offset + limit - begin, count)
            if first < last:
                for row in file.read_row_group(group).slice(first, last - first).to_pylist():
                    items.append({"row_id": row.pop(ROW_ID), "line": row.pop(LINE), "cells": row})
            begin += count
            if begin >= offset + limit:
                break
    return items


def count(folder: Path) -> int:
    """How many rows there are."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / ROWS_FILE) as file:
        found: int = file.metadata.num_rows
    return found


def column_names(folder: Path) -> list[str]:
    """The user's columns."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / ROWS_FILE) as file:
        return [name for name in file.schema_arrow.names if name not in (ROW_ID, LINE)]


def read_at(folder: Path, positions: Sequence[int]) -> dict[int, dict[str, Any]]:
    """{position: the row with `__row_id`, `__line` and its cells}; reads only their row groups."""
    import pyarrow.parquet as pq

    found: dict[int, dict[str, Any]] = {}
    wanted, begin = sorted(set(positions)), 0
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        for group in range(file.metadata.num_row_groups):
            end = begin + file.metadata.row_group(group).num_rows
            here = [at for at in wanted if begin <= at < end]
            if here:
                table = file.read_row_group(group).take([at - begin for at in here])
                found.update(zip(here, table.to_pylist(), strict=True))
            begin = end
    return found


def read_ids(folder: Path, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """{row id: the row with `__row_id`, `__line` and its cells}, without those that are not there."""
    return {row: one for row, (_, one) in read_placed(folder, ids).items()}


def read_placed(folder: Path, ids: Sequence[int]) -> dict[int, tuple[int, dict[str, Any]]]:
    """{row id: (position, the row with `__row_id`, `__line` and its cells)}, without those that are not there. Ids ascend, so that
    of the other row groups a few ids are read."""
    import pyarrow.parquet as pq

    found: dict[int, tuple[int, dict[str, Any]]] = {}
    with pq.ParquetFile(folder / ROWS_FILE) as file:
        known: dict[int, np.ndarray] = {}

        def ids_of(group: int) -> "np.ndarray":
            if group not in known:
                known[group] = file.read_row_group(group, columns=[ROW_ID])[ROW_ID].to_numpy()
            return known[group]

        places: dict[int, list[int]] = {}
        for row in sorted(set(ids)):
            group = (
                bisect_right(range(file.metadata.num_row_groups), row, key=lambda one: int(ids_of(one)[0]))
                - 1
            )
            if group < 0:
                continue
            place = int(ids_of(group).searchsorted(row))
            if place < len(ids_of(group)) and ids_of(group)[place] == row:
                places.setdefault(group, []).append(place)
        for group, here in places.items():
            begin = sum(file.metadata.row_group(before).num_rows for before in range(group))
            rows = file.read_row_group(group).take(here).to_pylist()
            found.update((one[ROW_ID], (begin + place, one)) for place, one in zip(here, rows, strict=True))
    return found


def read_columns(folder: Path, columns: Sequence[str]) -> "pyarrow.Table":
    """`__row_id` and the named columns (each once, in this order), all rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / ROWS_FILE) as file:
        return file.read(columns=list(dict.fromkeys([ROW_ID, *columns])))


def line_of(dataset_folder: Path, row_id: int) -> int | None:
    """The line of a row in the original it came with; for messages, so it may be slow."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    versions = sorted(dataset_folder.glob(f"v*/{ROWS_FILE}"), key=lambda path: int(path.parent.name[1:]))
    for path in reversed(versions):
        with pq.ParquetFile(path) as file:
            table = file.read(columns=[ROW_ID, LINE])
        found = table.filter(pc.equal(table[ROW_ID], row_id))
        if len(found):
            return int(found[LINE][0].as_py())
    return None
