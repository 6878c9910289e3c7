"""Spellings of a label become one."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from app.datasets.steps.base import Column, Step

if TYPE_CHECKING:
    import pyarrow


class Merge(Step):
    """Every cell of the column that is a key of `labels` (compared stripped) becomes its value."""

    kind: Literal["merge"]
    column: Column
    labels: Annotated[dict[str, str], Field(min_length=1, max_length=10_000)]

    @property
    def title(self) -> str:
        pairs = [
            f"{old!r} → {new!r}" if old != new else f"no spaces around {old!r}"
            for old, new in self.labels.items()
        ]
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        return f"merge labels in {self.column}: {', '.join(pairs[:3])}{more}"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa

        cells = block[self.column].to_pylist()
        merged = [self.labels.get(cell.strip(), cell) for cell in cells]
        place = block.column_names.index(self.column)
        return block.set_column(place, self.column, pa.array(merged, pa.string()))
