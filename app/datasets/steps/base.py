"""What a step between two versions of a data set is.

A step is a pure function over blocks of rows: it may leave rows out or change cells, and keeps `__row_id` and
`__line` of every row. So a data set of any size passes through it in the memory of one block.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from app.core.strict import Strict
from app.datasets.rows import ROW_ID

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

RowIds = Annotated[list[Annotated[int, Field(ge=0, lt=2**62)]], Field(min_length=1, max_length=20_000_000)]
Column = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Step(Strict, ABC):
    """Every step has a field `kind`, which tells it from the others in JSON."""

    kind: str

    @property
    @abstractmethod
    def title(self) -> str:
        """What it does, for the history: "drop 12 rows"."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that must be there."""
        return ()

    def after(self, columns: Sequence[str]) -> list[str]:
        """The columns as they are then. Raises Conflict where that can't be."""
        return list(columns)

    @property
    def needs(self) -> "np.ndarray":
        """The ids of the rows that must be there, ascending, each once. Here: none, a row that is gone is passed over."""
        import numpy as np

        return np.empty(0, np.int64)

    @abstractmethod
    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        """The rows of a block (`__row_id`, `__line`, the columns as strings) as they are after the step."""

    def added(self, columns: Sequence[str]) -> "Sequence[dict[str, str]]":
        """Rows that come behind all others: cells by column. They get new row ids, and line 0: no file has them."""
        return ()


class OfRows(Step):
    """A step that names its rows."""

    rows: RowIds

    @cached_property
    def _sorted(self) -> "pyarrow.Array":
        import pyarrow as pa

        return pa.array(sorted(set(self.rows)), pa.int64())

    def among(self, block: "pyarrow.Table") -> Any:
        """For each row of the block whether it is one of the step's (a boolean array)."""
        import pyarrow.compute as pc

        return pc.is_in(block[ROW_ID], value_set=self._sorted)


def rows_text(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
