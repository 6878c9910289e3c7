"""A cell of named rows gets a value: a label that was wrong, a row that moves to another part."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import StringConstraints

from app.datasets.steps.base import Column, OfRows, rows_text

if TYPE_CHECKING:
    import pyarrow


class Put(OfRows):
    """The same value for one column of all the named rows."""

    kind: Literal["put"]
    column: Column
    value: Annotated[str, StringConstraints(max_length=100_000)]

    @property
    def title(self) -> str:
        value = self.value if len(self.value) <= 40 else f"{self.value[:40]}…"
        return f"write {value!r} into {self.column} of {rows_text(len(set(self.rows)))}"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow.compute as pc

        place = block.column_names.index(self.column)
        cells = pc.if_else(self.among(block), self.value, block[self.column])
        return block.set_column(place, self.column, cells)
