"""Many edits at once, each its own: cells that get a value, rows that go, rows that come."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.strict import Strict, one_of
from app.datasets.rows import ROW_ID
from app.datasets.steps.base import Column, Step, rows_text

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

MAX_CELLS, MAX_ADDED, MAX_DROPPED = 200_000, 100_000, 200_000
MAX_CHARS = 64 * 2**20  # of all values together
RowId = Annotated[int, Field(ge=0, lt=2**62)]
Value = Annotated[str, StringConstraints(max_length=100_000)]


class Cell(Strict):
    """One cell gets one value."""

    row: RowId
    column: Column
    value: Value


class Edit(Step):
    """Each of `cells` gets its value (of two for the same cell the later one counts), the rows of `drop` are left out, those of
    `add` come behind all others; a column that an added row doesn't name is empty in it."""

    model_config = ConfigDict(json_schema_extra={"anyOf": one_of("cells", "drop", "add")})

    kind: Literal["edit"]
    cells: list[Cell] = Field(default=[], max_length=MAX_CELLS)
    drop: list[RowId] = Field(default=[], max_length=MAX_DROPPED)
    add: list[Annotated[dict[Column, Value], Field(min_length=1)]] = Field(default=[], max_length=MAX_ADDED)

    @model_validator(mode="after")
    def _bounded(self) -> "Edit":
        if not (self.cells or self.drop or self.add):
            raise ValueError("give at least one of cells, drop and add")
        chars = sum(len(one.value) for one in self.cells)
        chars += sum(len(value) for row in self.add for value in row.values())
        if chars > MAX_CHARS:
            raise ValueError(f"the values have {chars:,} characters; {MAX_CHARS:,} are possible at once")
        return self

    @property
    def title(self) -> str:
        changes = [f"edit {rows_text(len(self._rows))} ({self._where()})"] if self._values else []
        changes += [f"add {rows_text(len(self.add))}"] if self.add else []
        changes += [f"drop {rows_text(len(set(self.drop)))}"] if self.drop else []
        return ", ".join(changes)

    @property
    def columns(self) -> list[str]:
        return list(
            dict.fromkeys([one.column for one in self.cells] + [name for row in self.add for name in row])
        )

    @property
    def needs(self) -> "np.ndarray":
        import numpy as np

        return np.unique(np.array([*(one.row for one in self.cells), *self.drop], np.int64))

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.drop:
            block = block.filter(
                pc.invert(pc.is_in(block[ROW_ID], value_set=pa.array(self.drop, pa.int64())))
            )
        for column, values in self._values.items():
            place = pc.index_in(block[ROW_ID], value_set=pa.array(list(values), pa.int64()))
            if place.null_count == len(block):
                continue
            given = pa.array(list(values.values()), pa.string()).take(place.combine_chunks())
            cells = pc.coalesce(given, block[column].combine_chunks())
            block = block.set_column(block.column_names.index(column), column, cells)
        return block

    def added(self, columns: Sequence[str]) -> list[dict[str, str]]:
        return self.add

    @cached_property
    def _values(self) -> dict[str, dict[int, str]]:
        """{column: {row: value}}"""
        found: dict[str, dict[int, str]] = {}
        for one in self.cells:
            found.setdefault(one.column, {})[one.row] = one.value
        return found

    @property
    def _rows(self) -> set[int]:
        return {row for values in self._values.values() for row in values}

    def _where(self) -> str:
        counted = Counter({column: len(values) for column, values in self._values.items()}).most_common()
        more = f" and {len(counted) - 3} more columns" if len(counted) > 3 else ""
        return ", ".join(f"{count:,} in {column}" for column, count in counted[:3]) + more
