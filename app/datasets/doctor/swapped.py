"""Text and label that stand in each other's column: in single rows, or in all of them."""

from collections import Counter

from app.datasets.column import NUMBER
from app.datasets.doctor.base import (
    MOST_LABELS,
    Block,
    Check,
    Fix,
    Found,
    Rows,
    rows_text,
    share_text,
)
from app.datasets.lists import labels_in

_LONG = 25  # characters that a label rarely has
_COMMON = 3  # rows that a label must have to be known


class Swapped(Check):
    """A row whose text is a known label and whose label is long, or known nowhere else."""

    doing = "looking for swapped cells"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._short: list[tuple[int, int, str, str]] = []  # text column, position, text, label

    def add(self, block: Block) -> None:
        if block.labels is None or len(self._short) > MOST_LABELS:
            return
        known = self._known()
        for number, column in enumerate(self.asked.text):
            for place, (cell, label) in enumerate(
                zip(block.cells(column), block.labels, strict=True), block.first
            ):
                text = cell.strip()
                if text and label and text != label and self._looks_swapped(text, label, known):
                    self._short.append((number, place, text, label))

    def _known(self) -> set[str] | None:
        """The classes; None if they are too many to know them before the end."""
        counts = (self.profile.get(self.asked.label or "") or {}).get("counts")
        if counts is None or self.asked.labels != "classes":
            return None
        return {label for label, rows in counts.items() if rows >= _COMMON}

    def _looks_swapped(self, text: str, label: str, known: set[str] | None) -> bool:
        """As far as the row itself tells."""
        if self.asked.labels == "numbers":
            return bool(NUMBER.fullmatch(text)) and not NUMBER.fullmatch(label)
        if self.asked.labels == "several":
            return len(label) > _LONG and (len(label) > len(text) or "|" in text) and len(text) <= 1000
        if len(text) > 100 or (known is not None and text not in known):
            return False
        return len(label) > max(_LONG, len(text)) or (known is not None and label not in known)

    def _are_swapped(self, rows: Rows) -> list[tuple[int, int]]:
        """(number of the text column, position)"""
        import numpy as np

        if self.asked.labels == "numbers":
            return [(number, at) for number, at, _, _ in self._short]
        sizes = np.bincount(rows.labels[rows.labels >= 0], minlength=len(rows.names)).tolist()
        of_label: Counter[str] = Counter()
        for name, size in zip(rows.names, sizes, strict=True):
            of_label.update(
                dict.fromkeys(labels_in(name) if self.asked.labels == "several" else [name], size)
            )

        def common(cell: str) -> bool:
            parts = labels_in(cell) if self.asked.labels == "several" else [cell]
            return bool(parts) and all(of_label[part] >= _COMMON for part in parts)

        return [
            (number, at)
            for number, at, text, own in self._short
            if common(text) and (not common(own) or (self.asked.labels == "classes" and len(own) > _LONG))
        ]

    def finish(self, rows: Rows) -> list[Found]:
        label = rows.asked.label
        if label is None:
            return []
        if len(rows.asked.text) == 1 and (whole := self._whole(rows.asked.text[0], label, rows)):
            return [whole]
        found = self._are_swapped(rows)
        several = len(rows.asked.text) > 1
        return [
            _found(f"swapped-{number + 1}" if several else "swapped", text, label, positions, rows)
            for number, text in enumerate(rows.asked.text)
            if (positions := [at for other, at in found if other == number])
        ]

    def _whole(self, text: str, label: str, rows: Rows) -> Found | None:
        """What is wrong if the columns were chosen the other way round."""
        about, other = self.profile.get(text) or {}, self.profile.get(label) or {}
        if (
            about.get("counts") is None
            or other.get("counts") is not None
            or other.get("mean_chars", 0) <= 2 * about.get("mean_chars", 0)
            or about.get("distinct", 0) > 0.1 * rows.count
        ):
            return None
        message = (
            f"{text} has {about['distinct']:,} different values of {about['mean_chars']:g} characters, {label} is longer and hardly "
            "ever the same: choose them the other way round."
        )
        columns = [text, label]
        return Found("swapped-columns", "error", "Text and label are swapped", message, rows.count, columns)


def _found(id: str, text: str, label: str, positions: list[int], rows: Rows) -> Found:
    count = len(positions)
    where = "the text" if id == "swapped" else text
    return Found(
        id=id,
        severity="error" if count > 0.01 * rows.count else "warning",
        title="Text and label look swapped" if id == "swapped" else f"{text} and {label} look swapped",
        message=f"{share_text(count, rows.count)} have a label where {where} should be and a text where the label should be.",
        count=count,
        columns=[text, label],
        positions=positions,
        fixes=[
            Fix(
                "swap",
                f"Swap the two cells ({rows_text(count)})",
                count,
                {"kind": "swap", "first": text, "second": label},
                "",
            )
        ],
    )
