"""Two columns that were mistaken for each other change their contents."""

from typing import TYPE_CHECKING, Literal

from app.datasets.steps.base import Column, OfRows, rows_text

if TYPE_CHECKING:
    import pyarrow


class Swap(OfRows):
    """In the named rows the cells of two columns change places."""

    kind: Literal["swap"]
    first: Column
    second: Column

    @property
    def title(self) -> str:
        return f"swap {self.first} and {self.second} in {rows_text(len(set(self.rows)))}"

    @property
    def columns(self) -> list[str]:
        return [self.first, self.second]

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow.compute as pc

        mine = self.among(block)
        first, second = block[self.first], block[self.second]
        names = block.column_names
        block = block.set_column(names.index(self.first), self.first, pc.if_else(mine, second, first))
        return block.set_column(names.index(self.second), self.second, pc.if_else(mine, first, second))
