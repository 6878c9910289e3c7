"""What is in the columns of a data set, and a guess which column is what."""

from collections.abc import Sequence
from typing import Any

from app.datasets.column import MAX_COUNTED, MAX_DISTINCT, ColumnProfile
from app.datasets.roles import roles, text_and_label

_ALL_DISTINCT = 2_000_000  # hashes kept for all columns together: about 120 MB


class Profile:
    """The profiles of all columns, filled one block at a time; `kind` is the format that the rows were read from."""

    def __init__(self, names: Sequence[str], kind: str = "csv") -> None:
        self.names, self.kind = list(names), kind
        cap = max(MAX_COUNTED, min(MAX_DISTINCT, _ALL_DISTINCT // len(names)))
        self.columns = [ColumnProfile(cap) for _ in names]

    @property
    def rows(self) -> int:
        return self.columns[0].rows

    @property
    def by_name(self) -> dict[str, ColumnProfile]:
        return dict(zip(self.names, self.columns, strict=True))

    def add(self, columns: Sequence[Sequence[str]], lines: Sequence[int]) -> None:
        for profile, cells in zip(self.columns, columns, strict=True):
            profile.add(cells, lines)

    def finish(self) -> None:
        for column in self.columns:
            column.finish()

    def guess(self) -> tuple[str | None, str | None]:
        """(text column, label column); see `roles.text_and_label`."""
        return text_and_label(self.by_name)

    def as_dict(self) -> dict[str, Any]:
        """`text` and `label` are the guesses for classification; `roles` has them for every task."""
        text, label = self.guess()
        columns = {name: column.as_dict() for name, column in self.by_name.items()}
        return {
            "kind": self.kind,
            "columns": columns,
            "text": text,
            "label": label,
            "roles": roles(self.by_name),
        }
