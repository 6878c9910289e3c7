"""The labels as such: classes with too few rows, spellings of one label, a column that holds no labels."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.datasets.column import NUMBER
from app.datasets.doctor.base import (
    NO_LABEL,
    Block,
    Check,
    Fix,
    Found,
    Rows,
    drop,
    rows_text,
    share_text,
)
from app.datasets.split import normalised

if TYPE_CHECKING:
    import numpy as np

FEW = 10  # rows of a class: one of them tests it, one validates it
SHOWN = 5


class SmallClasses(Check):
    """Classes that a model can't learn, nor be tested on, for want of rows."""

    doing = "counting the classes"

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        label = rows.asked.label
        if label is None or not rows.with_classes or not rows.names:
            return []
        counts = np.bincount(rows.labels[rows.labels != NO_LABEL], minlength=len(rows.names))
        if len(rows.names) == 1:
            message = f"Every row has the label {quoted(rows.names[0])}: there is nothing to tell apart. Choose another column, or add rows."
            return [Found("one-class", "error", "Only one class", message, rows.count, [label])]
        if len(rows.names) > max(2, int(counts.sum()) // 2):
            message = (
                f"The column {label} has {len(rows.names):,} different values in {rows_text(rows.count)}: that is no column of "
                "labels. Choose another one."
            )
            return [
                Found("no-labels", "error", "A label of its own for every row", message, rows.count, [label])
            ]
        # Spellings of one label are one class here: another finding merges them, and what is left then may be enough.
        merged = _merged(rows)
        class_of = np.array([merged.get(code, code) for code in range(len(rows.names))])
        together = np.bincount(class_of, weights=counts, minlength=len(counts))[class_of]
        few = np.flatnonzero((together < FEW) & (counts > 0))
        # A column where every class is small has few rows; that is said once, by the run.
        if not len(few) or len(few) == len(rows.names):
            return []
        positions = np.flatnonzero(np.isin(rows.labels, few))
        shown = ", ".join(f"{quoted(rows.names[one])} ({counts[one]})" for one in few[:SHOWN])
        more = f" and {len(few) - SHOWN:,} more" if len(few) > SHOWN else ""
        are = "1 class has" if len(few) == 1 else f"{len(few):,} classes have"
        return [
            Found(
                id="small-classes",
                severity="warning",
                title="Classes with few rows",
                message=f"{are} fewer than {FEW} rows: {shown}{more}. About a tenth of each is for testing, and that is then next to nothing.",
                count=len(positions),
                columns=[label],
                positions=positions,
                notes=[rows.names[code] for code in rows.labels[positions]],
                fixes=[
                    drop(
                        len(positions),
                        f"Drop {'this class' if len(few) == 1 else 'these classes'} ({rows_text(len(positions))})",
                    )
                ],
            )
        ]


class NoNumbers(Check):
    """Cells without a number in a column of numbers: a run for scores refuses them."""

    doing = "looking for what is no number"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._found: list[tuple[int, str]] = []

    def add(self, block: Block) -> None:
        if self.asked.labels != "numbers" or block.labels is None:
            return
        for place, label in enumerate(block.labels, block.first):
            if label and not NUMBER.fullmatch(label):
                self._found.append((place, label[:100]))

    def finish(self, rows: Rows) -> list[Found]:
        if not self._found:
            return []
        count, label = len(self._found), str(rows.asked.label)
        shown = ", ".join(quoted(one) for one in dict.fromkeys(one for _, one in self._found[:100]))
        return [
            Found(
                id="no-numbers",
                severity="error",
                title=f"No number in {label}",
                message=f"{share_text(count, rows.count)} have something else than a number in the column {label}, and a run for scores "
                f"takes numbers only: {shown[:200]}.",
                count=count,
                columns=[label],
                positions=[place for place, _ in self._found],
                notes=[one for _, one in self._found],
                fixes=[drop(count)] if count < rows.count else [],
            )
        ]


class Spellings(Check):
    """Labels that differ only in capital letters, white space or characters that nobody sees."""

    doing = "comparing the spellings of labels"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._padded: list[np.ndarray] = []  # positions of labels with spaces around them

    def add(self, block: Block) -> None:
        import numpy as np

        label = self.asked.label
        if label is None or block.labels is None or self.asked.labels != "classes":
            return
        both = zip(block.cells(label), block.labels, strict=True)
        here = [block.first + place for place, (cell, bare) in enumerate(both) if len(cell) != len(bare)]
        self._padded.append(np.array(here, np.int64))

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        label = rows.asked.label
        if label is None or not rows.with_classes:
            return []
        merged = _merged(rows)
        positions = np.flatnonzero(np.isin(rows.labels, list(merged)))
        padded = np.setdiff1d(self._spaced(rows), positions)
        if not len(positions) and not len(padded):
            return []
        pairs = [f"{quoted(rows.names[old])} → {quoted(rows.names[new])}" for old, new in merged.items()]
        more = f" and {len(pairs) - SHOWN:,} more" if len(pairs) > SHOWN else ""
        names = {rows.names[old]: rows.names[new] for old, new in merged.items()}
        names |= {rows.names[code]: rows.names[code] for code in np.unique(rows.labels[padded])}
        message = (
            f"{share_text(len(positions), rows.count)} have a label that differs from a commoner one only in capital letters, "
            f"spaces or invisible characters; they are learned apart: {', '.join(pairs[:SHOWN])}{more}."
        )
        spaces = (
            f"{share_text(len(padded), rows.count)} have spaces around a label that others have without: training takes them away "
            "itself, other programs may not."
        )
        positions = np.union1d(positions, padded)
        return [
            Found(
                id="spellings",
                severity="warning" if merged else "note",
                title="One label, several spellings",
                message=" ".join([message] * bool(merged) + [spaces] * bool(len(padded))),
                count=len(positions),
                columns=[label],
                positions=positions,
                notes=[rows.names[code] for code in rows.labels[positions]],
                fixes=[
                    Fix(
                        "merge",
                        f"Merge them ({rows_text(len(positions))})",
                        len(positions),
                        {"kind": "merge", "column": label, "labels": names},
                    )
                ]
                if len(names) <= 10_000
                else [],
            )
        ]

    def _spaced(self, rows: Rows) -> "np.ndarray":
        """The rows with spaces around a label that other rows have without."""
        import numpy as np

        is_padded = np.zeros(rows.count, bool)
        is_padded[np.concatenate([np.zeros(0, np.int64), *self._padded])] = True
        bare = np.unique(rows.labels[~is_padded & (rows.labels != NO_LABEL)])
        return np.flatnonzero(is_padded & np.isin(rows.labels, bare))


def _merged(rows: Rows) -> dict[int, int]:
    """{code of a label: that of the commonest one that a person reads alike}"""
    import numpy as np

    code_of = {name: code for code, name in enumerate(rows.names)}
    alike: dict[str, list[int]] = defaultdict(list)
    for code, name in enumerate(rows.names):
        alike[plain(name)].append(code)
    counts = np.bincount(rows.labels[rows.labels != NO_LABEL], minlength=len(rows.names))
    merged: dict[int, int] = {}
    for codes in alike.values():
        named = {rows.names[code]: int(counts[code]) for code in codes}
        best = best_of(list(named), named)
        merged.update((code, code_of[best]) for code in codes if rows.names[code] != best)
    return merged


def best_of(spellings: Sequence[str], counts: Mapping[str, int]) -> str:
    """The commonest; of equally common ones the first by code point."""
    return min(spellings, key=lambda one: (-counts[one], one))


def plain(label: str) -> str:
    """What a person sees of a label, capital letters and white space aside."""
    return normalised("".join(char for char in label if unicodedata.category(char) != "Cf"))


def quoted(label: str) -> str:
    return repr(label if len(label) <= 40 else f"{label[:40]}…")
