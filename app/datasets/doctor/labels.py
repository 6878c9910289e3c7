"""The labels as such: classes with too few rows, spellings of one label, a column that holds no labels."""

import unicodedata
from collections import defaultdict

from app.datasets.doctor.base import NO_LABEL, Check, Fix, Found, Rows, drop, rows_text, share_text
from app.datasets.split import normalised

FEW = 10  # rows of a class: one of them tests it, one validates it
_SHOWN = 5


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
            message = f"Every row has the label {_quoted(rows.names[0])}: there is nothing to tell apart. Choose another column, or add rows."
            return [Found("one-class", "error", "Only one class", message, rows.count, [label])]
        if len(rows.names) > max(2, int(counts.sum()) // 2):
            message = (
                f"The column {label} has {len(rows.names):,} different values in {rows_text(rows.count)}: that is no column of "
                "labels. Choose another one."
            )
            return [
                Found("no-labels", "error", "A label of its own for every row", message, rows.count, [label])
            ]
        few = np.flatnonzero((counts < FEW) & (counts > 0))
        # A column where every class is small has few rows; that is said once, by the run.
        if not len(few) or len(few) == len(rows.names):
            return []
        positions = np.flatnonzero(np.isin(rows.labels, few))
        shown = ", ".join(f"{_quoted(rows.names[one])} ({counts[one]})" for one in few[:_SHOWN])
        more = f" and {len(few) - _SHOWN:,} more" if len(few) > _SHOWN else ""
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


class Spellings(Check):
    """Labels that differ only in capital letters, white space or characters that nobody sees."""

    doing = "comparing the spellings of labels"

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        label = rows.asked.label
        if label is None or not rows.with_classes:
            return []
        alike: dict[str, list[int]] = defaultdict(list)
        for code, name in enumerate(rows.names):
            alike[plain(name)].append(code)
        counts = np.bincount(rows.labels[rows.labels != NO_LABEL], minlength=len(rows.names))
        merged: dict[int, int] = {}
        for codes in alike.values():
            best = min(codes, key=lambda code: (-counts[code], rows.names[code]))
            merged.update((code, best) for code in codes if code != best)
        if not merged:
            return []
        positions = np.flatnonzero(np.isin(rows.labels, list(merged)))
        pairs = [f"{_quoted(rows.names[old])} → {_quoted(rows.names[new])}" for old, new in merged.items()]
        more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
        names = {rows.names[old]: rows.names[new] for old, new in merged.items()}
        fixes = [
            Fix(
                "merge",
                f"Merge them ({rows_text(len(positions))})",
                len(positions),
                {"kind": "merge", "column": label, "labels": names},
            )
        ]
        return [
            Found(
                id="spellings",
                severity="warning",
                title="One label, several spellings",
                message=f"{share_text(len(positions), rows.count)} have a label that differs from a commoner one only in capital letters, "
                f"spaces or invisible characters; they are learned apart: {', '.join(pairs[:_SHOWN])}{more}.",
                count=len(positions),
                columns=[label],
                positions=positions,
                notes=[rows.names[code] for code in rows.labels[positions]],
                fixes=fixes if len(names) <= 10_000 else [],
            )
        ]


def plain(label: str) -> str:
    """What a person sees of a label, capital letters and white space aside."""
    return normalised("".join(char for char in label if unicodedata.category(char) != "Cf"))


def _quoted(label: str) -> str:
    return repr(label if len(label) <= 40 else f"{label[:40]}…")
