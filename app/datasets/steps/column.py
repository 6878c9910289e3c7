"""A column comes: for labels that are still to be given, say."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import StringConstraints

from app.core.errors import Conflict
from app.datasets.header import MAX_COLUMNS, clean
from app.datasets.steps.base import Step

if TYPE_CHECKING:
    import pyarrow


class NewColumn(Step):
    """One more column behind the others, empty in every row."""

    kind: Literal["column"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]

    @property
    def title(self) -> str:
        return f"add the column {self.name}"

    def after(self, columns: Sequence[str]) -> list[str]:
        if self.name in columns:
            raise Conflict(f"There is a column {self.name} already: choose another name.")
        if (
            self.name != clean(self.name)
            or not any(map(str.isprintable, self.name))
            or self.name.startswith("__")
        ):
            raise Conflict(
                f"{self.name!r} can't be the name of a column: use letters without white space around them, and not two underscores at "
                "the begin."
            )
        if len(columns) >= MAX_COLUMNS:
            raise Conflict(f"There are {MAX_COLUMNS:,} columns, and more are not possible.")
        return [*columns, self.name]

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa

        return block.append_column(self.name, pa.array([""] * len(block), pa.string()))
