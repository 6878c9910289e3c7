"""Labels of which a text may have several, as a|b or ["a","b"]: their spellings, and those with too few rows."""

from collections import Counter, defaultdict
from collections.abc import Mapping

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
from app.datasets.doctor.labels import FEW, SHOWN, best_of, plain, quoted
from app.datasets.lists import labels_in, with_labels

_MOST_CELLS = 10_000  # that one step changes


class LabelSets(Check):
    """Both findings come out of one count."""

    doing = "comparing the labels"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._cells: dict[str, list[int]] = defaultdict(list)

    def add(self, block: Block) -> None:
        if self.asked.labels != "several" or block.labels is None or len(self._cells) > MOST_LABELS:
            return
        for place, cell in enumerate(block.labels, block.first):
            if cell:
                self._cells[cell].append(place)

    def finish(self, rows: Rows) -> list[Found]:
        if len(self._cells) > MOST_LABELS:
            return []
        counts: Counter[str] = Counter()
        for cell, places in self._cells.items():
            counts.update(dict.fromkeys(labels_in(cell), len(places)))
        alike: dict[str, list[str]] = defaultdict(list)
        for part in counts:
            alike[plain(part)].append(part)
        merged = {
            part: best
            for parts in alike.values()
            for part in parts
            if (best := best_of(parts, counts)) != part
        }
        return [*self._spellings(rows, merged), *self._small(rows, counts, merged)]

    def _spellings(self, rows: Rows, merged: Mapping[str, str]) -> list[Found]:
        if not merged:
            return []
        pairs = [f"{quoted(old)} → {quoted(new)}" for old, new in merged.items()]
        more = f" and {len(pairs) - SHOWN:,} more" if len(pairs) > SHOWN else ""
        return [
            self._found(
                "spellings",
                "One label, several spellings",
                f"have a label that differs from a commoner one only in capital letters, spaces or invisible characters; they are "
                f"learned apart: {', '.join(pairs[:SHOWN])}{more}.",
                "Merge them",
                rows,
                merged,
            )
        ]

    def _small(self, rows: Rows, counts: Mapping[str, int], merged: Mapping[str, str]) -> list[Found]:
        together: Counter[str] = Counter()
        for part, count in counts.items():
            together[merged.get(part, part)] += count
        few = [part for part in sorted(counts) if together[merged.get(part, part)] < FEW]
        if not few or len(few) == len(counts):
            return []
        shown = ", ".join(f"{quoted(one)} ({counts[one]})" for one in few[:SHOWN])
        more = f" and {len(few) - SHOWN:,} more" if len(few) > SHOWN else ""
        what = "a label that fewer" if len(few) == 1 else f"one of {len(few):,} labels that fewer"
        return [
            self._found(
                "small-labels",
                "Labels with few rows",
                f"have {what} than {FEW} rows have: {shown}{more}. About a tenth of each is for testing, and that is then next to nothing.",
                "Take this label away" if len(few) == 1 else "Take these labels away",
                rows,
                dict.fromkeys(few, ""),
            )
        ]

    def _found(
        self, id: str, title: str, message: str, fix: str, rows: Rows, becomes: Mapping[str, str]
    ) -> Found:
        """A finding about the rows with one of the labels in `becomes`, and the step that makes it another, or "" none."""
        assert self.asked.label is not None
        cells = {
            cell: _changed(cell, becomes)
            for cell in self._cells
            if not becomes.keys().isdisjoint(labels_in(cell))
        }
        positions = sorted(place for cell in cells for place in self._cells[cell])
        step = {"kind": "merge", "column": self.asked.label, "labels": cells}
        count = len(positions)
        return Found(
            id=id,
            severity="warning",
            title=title,
            message=f"{share_text(count, rows.count)} {message}",
            count=count,
            columns=[self.asked.label],
            positions=positions,
            fixes=[Fix("merge", f"{fix} ({rows_text(count)})", count, step)]
            if len(cells) <= _MOST_CELLS
            else [],
        )


def _changed(cell: str, becomes: Mapping[str, str]) -> str:
    parts = [becomes.get(part, part) for part in labels_in(cell)]
    return with_labels(cell, list(dict.fromkeys(filter(None, parts))))
