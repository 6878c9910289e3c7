"""Rows are left out."""

from typing import TYPE_CHECKING, Literal

from app.datasets.steps.base import OfRows, rows_text

if TYPE_CHECKING:
    import pyarrow


class Drop(OfRows):
    """The named rows are left out; earlier versions keep them."""

    kind: Literal["drop"]

    @property
    def title(self) -> str:
        return f"drop {rows_text(len(set(self.rows)))}"

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow.compute as pc

        return block.filter(pc.invert(self.among(block)))
