"""Parquet: columns of texts, numbers, dates and lists, a batch of rows at a time."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.errors import Invalid, Problem
from app.core.files import megabytes
from app.datasets import header
from app.datasets.apart import too_much
from app.datasets.findings import Finding
from app.datasets.profile import Profile
from app.datasets.readers.source import MAX_CELL, Block, in_blocks, too_long

if TYPE_CHECKING:
    import pyarrow

BATCH = 4096
_BUFFER = 2**20
# Dictionaries make a file small whose rows are not: so many times its size may come out of it.
MAX_RATIO = 500
_SURELY_SMALL = 256 * 2**20
_MAX_GROUP = 4 * 2**30
_SMALL_GROUP = 32 * 2**20
_BATCH_BYTES = 64 * 2**20
_PIECE_BYTES = 8 * 2**20
_DEEPEST = 8
_HELP = "Keep the columns with texts, labels, numbers, dates, and lists and structs of them."


class ParquetTable:
    """Numbers as they are written in JSON, dates as 2024-05-31; lists, structs and maps as JSON; null is "".

    Raises Invalid on opening for a damaged file, and for columns of a kind that is no text.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from pyarrow.types import is_nested

        self._size = path.stat().st_size
        self._rows = self._total = 0
        self._path = path
        try:
            # Texts come as dictionaries, where the file has them so: a batch may say one long text many times.
            self._texts = _texts(pq.read_schema(path))
            self._file = pq.ParquetFile(
                path, read_dictionary=self._texts, buffer_size=_BUFFER, pre_buffer=False
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged() from error
        try:
            self._check_size()
            self.names = _names(self._file.schema_arrow)
            self._total = self._file.metadata.num_rows
            schema = self._file.schema_arrow
            self._nested = [place for place, field in enumerate(schema) if is_nested(field.type)]
        except BaseException:
            self.close()
            raise

    @property
    def bytes_read(self) -> int:
        """A guess by the share of the rows."""
        return self._size * self._rows // max(1, self._total)

    def close(self) -> None:
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        return in_blocks(self._cells(), len(self.names))

    def _cells(self) -> Iterator[tuple[tuple[str, ...], int]]:
        import pyarrow as pa

        chars, most = 0, max(_SURELY_SMALL, MAX_RATIO * self._size)
        try:
            for batch in self._pieces():
                columns = [
                    _cells_of(column, name) for name, column in zip(self.names, batch.columns, strict=True)
                ]
                for cells in zip(*columns, strict=True):
                    self._rows += 1
                    length = sum(map(len, cells))
                    chars += length
                    if length > MAX_CELL and max(map(len, cells)) > MAX_CELL:
                        raise too_long(f"row {self._rows}", "has a cell that is longer")
                    if chars > most:
                        raise Invalid(
                            f"Up to row {self._rows:,} the file has more than {megabytes(most)} of text, and is itself "
                            f"{megabytes(self._size)}: no text packs that well. Save it as CSV and upload what you need.",
                            kind="file",
                        )
                    yield cells, self._rows
        except MemoryError as error:  # Arrow's is one too
            raise too_much(self._rows + 1) from error
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(self._rows + 1) from error

    def _pieces(self) -> "Iterator[pyarrow.RecordBatch]":
        """The batches, in pieces whose lists take little as objects of Python. Raises Invalid for a list that no cell holds."""
        import pyarrow.compute as pc

        for batch in self._batches():
            for column in map(batch.column, self._nested):
                if _is_list(column.type):
                    lengths = pc.list_value_length(column)
                    most = pc.max(lengths).as_py() or 0
                    if 2 * most > MAX_CELL:  # each of its values takes a character, and a comma
                        row = self._rows + 1 + pc.index(lengths, most).as_py()
                        raise too_long(f"row {row}", "has a cell that is longer")
            waiting = [batch]
            while waiting:
                piece = waiting.pop()
                size = sum(piece.column(place).nbytes for place in self._nested)
                if size > _PIECE_BYTES and len(piece) > 1:
                    half = len(piece) // 2
                    waiting += [piece.slice(half), piece.slice(0, half)]
                else:
                    yield piece

    def _batches(self) -> "Iterator[pyarrow.RecordBatch]":
        rows = max(1, BATCH * 16 // (16 + len(self.names)))
        for group in range(self._file.num_row_groups):
            if self._file.metadata.row_group(group).total_byte_size <= _SMALL_GROUP:
                yield from self._file.iter_batches(batch_size=rows, row_groups=[group])
            else:
                yield from self._of_large_group(group, rows)

    def _of_large_group(self, group: int, rows: int) -> "Iterator[pyarrow.RecordBatch]":
        """Texts as they are: the reader of dictionaries keeps every text of a row group that it has seen.

        The dictionary of a column is there from its first row on, and no text that is not in it can be said again and again:
        the longest one bounds what a batch takes.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        first = self._file.iter_batches(batch_size=1, row_groups=[group], columns=self._texts)
        dictionaries = [column.dictionary for batch in islice(first, 1) for column in batch.columns]
        longest = max((pc.max(pc.binary_length(one)).as_py() or 0 for one in dictionaries), default=0) or 1
        rows = max(1, min(rows, _BATCH_BYTES // (longest * max(1, len(self._texts)))))
        with pq.ParquetFile(self._path, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=rows, row_groups=[group])

    def _check_size(self) -> None:
        metadata = self._file.metadata
        if metadata.num_columns > 50 * header.MAX_COLUMNS:
            header.refuse_too_many(metadata.num_columns)
        for group in range(metadata.num_row_groups):
            # Never `.column(…)` of it: with a damaged file pyarrow ends the whole process there.
            size = metadata.row_group(group).total_byte_size
            if size > _MAX_GROUP:
                raise Invalid(
                    f"The file has a row group of {megabytes(size)}. Save it again with smaller row groups, or as CSV.",
                    kind="file",
                )

    def check(self, profile: Profile) -> None:
        if not profile.rows:
            raise Invalid(
                f"The file has no rows, only columns: {', '.join(self.names[:10])}. Choose a file with rows.",
                kind="no_rows",
            )

    def warnings(self, profile: Profile) -> list[Finding]:
        return header.renamed(self._file.schema_arrow.names, self.names, None)

    def used(self) -> dict[str, Any]:
        return {"format": "parquet", "delimiter": None, "header": None}


def _texts(schema: "pyarrow.Schema") -> list[str]:
    import pyarrow.types as kinds

    are_texts = (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    return [field.name for field in schema if any(is_one(field.type) for is_one in are_texts)]


def _names(schema: "pyarrow.Schema") -> list[str]:
    header.refuse_too_many(len(schema))
    if not len(schema):
        raise Invalid("The file has no columns. Choose a file with texts and labels.", kind="no_rows")
    problems: list[Problem] = [
        {"where": f"column {field.name[:100]}", "message": f"holds {str(field.type)[:100]}"}
        for field in schema
        if not _is_readable(field.type)
    ]
    if problems:
        message = f"Headstart can't read the {problems[0]['where']}, which {problems[0]['message']}."
        more = {1: "", 2: " One more column is like that."}.get(
            len(problems), f" {len(problems) - 1} more columns are like that."
        )
        raise Invalid(f"{message} {_HELP}{more}", problems[: header.MAX_PROBLEMS], kind="parquet")
    return header.names(schema.names, None)


def _is_readable(kind: "pyarrow.DataType", deepest: int = _DEEPEST) -> bool:
    import pyarrow.types as kinds

    if deepest == 0:
        return False
    if kinds.is_dictionary(kind):
        return _is_plain(kind.value_type)
    if _is_list(kind):
        return _is_readable(kind.value_type, deepest - 1)
    if kinds.is_struct(kind):
        return all(_is_readable(field.type, deepest - 1) for field in kind)
    if kinds.is_map(kind):  # its keys are those of an object
        return kinds.is_string(kind.key_type) and _is_readable(kind.item_type, deepest - 1)
    return _is_plain(kind)


def _is_list(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


def _is_plain(kind: "pyarrow.DataType") -> bool:
    import pyarrow.types as kinds

    return any(
        is_one(kind)
        for is_one in (
            *(
                kinds.is_string,
                kinds.is_large_string,
                kinds.is_string_view,
                kinds.is_integer,
                kinds.is_floating,
                kinds.is_boolean,
            ),
            *(kinds.is_decimal, kinds.is_date, kinds.is_timestamp, kinds.is_time, kinds.is_null),
        )
    )


def _cells_of(column: "pyarrow.Array", name: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_dictionary(kind):
        # The dictionary is that of many batches: only what this one uses of it, each text once.
        used = pc.unique(column.indices.drop_null())
        values = dict(zip(used.to_pylist(), _cells_of(column.dictionary.take(used), name), strict=True))
        return ["" if place is None else values[place] for place in column.indices.to_pylist()]
    if kinds.is_nested(kind):
        try:
            # pyarrow is slow where it has to look for maps.
            values = column.to_pylist(maps_as_pydicts="lossy") if "map<" in str(kind) else column.to_pylist()
            return ["" if value is None else _json(value) for value in values]
        except (OverflowError, ValueError) as error:  # Python knows no dates after 9999 and no nanoseconds
            raise Invalid(
                f"Headstart can't read the column {name[:100]}: {str(error)[:200]}. {_HELP}",
                [{"where": f"column {name[:100]}", "message": str(error)[:200]}],
                kind="parquet",
            ) from error
    if kinds.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    if not (kinds.is_string(kind) or kinds.is_large_string(kind)):
        column = column.cast(pa.string())
    return ["" if value is None else value for value in column.to_pylist()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _damaged(row: int | None = None) -> Invalid:
    where = f" from row {row:,} on" if row else ""
    return Invalid(
        f"The Parquet file is damaged{where}, or was cut off. Get it again, or save its rows as CSV.",
        kind="file",
    )
