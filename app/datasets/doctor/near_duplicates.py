"""Texts that are nearly the same, and those of them that are trained on and tested on."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.spec import RandomSplit
from app.datasets.doctor.base import (
    NO_PART,
    TRAIN,
    Block,
    Check,
    Fix,
    Found,
    Rows,
    drop,
    groups_of,
    rows_text,
    share_text,
)
from app.datasets.doctor.similar import LONGEST, MOST, Similar

if TYPE_CHECKING:
    import numpy as np


class NearDuplicates(Check):
    """Both findings come out of one comparison."""

    doing = "comparing texts that are nearly the same"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._similar = Similar(Path(tempfile.gettempdir()))

    def add(self, block: Block) -> None:
        import numpy as np

        hashes = np.array([hash(text) for text in block.normalised], np.int64)
        self._similar.add(block, hashes)

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        one, other, share = self._similar.pairs()
        places = np.array(self._similar.positions, np.int64)
        if not len(one):
            return []
        graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), (len(places), len(places)))
        _, component = connected_components(graph, directed=False)
        sizes = np.bincount(component)
        best = np.zeros(len(places))
        np.maximum.at(best, one, share)
        np.maximum.at(best, other, share)
        of_position = {
            int(places[place]): (int(component[place]), float(best[place]))
            for place in np.flatnonzero(sizes[component] > 1)
        }
        return [*self._found(rows, of_position), *_leaks(rows, of_position, self._said())]

    def close(self) -> None:
        self._similar.close()

    def _found(self, rows: Rows, of_position: dict[int, tuple[int, float]]) -> list[Found]:
        import numpy as np

        positions = np.array(sorted(of_position, key=lambda at: (of_position[at][0], at)), np.int64)
        numbers = np.array([of_position[int(at)][0] for at in positions])
        positions, groups = _in_order(positions, numbers)
        first = np.r_[True, groups[1:] != groups[:-1]]
        extra = int((~first).sum())
        labels = rows.labels[positions]
        starts = np.flatnonzero(first)
        mixed = int((np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)).sum())
        chance = "" if rows.asked.part else _by_chance(rows, positions, groups)
        unlike = (
            f" In {mixed:,} of the {len(starts):,} groups the labels differ."
            if mixed and rows.asked.label
            else ""
        )
        return [
            Found(
                id="near-duplicates",
                severity="warning" if extra >= 0.05 * rows.count or mixed else "note",
                title="Nearly the same text",
                message=f"{share_text(extra, rows.count)} are nearly the same as an earlier row (about 70 % of their runs of 5 "
                f"characters, or more).{unlike}{chance}{self._said()}",
                count=extra,
                columns=list(rows.asked.text),
                positions=positions,
                groups=groups,
                roles=np.where(first, "first", "copy").tolist(),
                notes=[f"{100 * of_position[int(at)][1]:.0f} % alike" for at in positions],
                fixes=[drop(extra, f"Keep the first of each, drop {rows_text(extra)}", "copy", "keep-first")],
            )
        ]

    def _said(self) -> str:
        left = self._similar.left_out
        many = f" Only the first {MOST:,} different texts were compared." if left else ""
        return f"{many} Of long texts the first {LONGEST:,} characters count." if many else ""


class Leaks(Check):
    """Texts of the training part that are tested on, letter by letter."""

    doing = "comparing the parts"

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        if rows.asked.part is None:
            return []
        positions, groups = groups_of(rows.texts, (rows.texts != 0) & (rows.parts != NO_PART))
        return _across(rows, positions, groups, np.array([""] * len(positions)), "leaks", "")


def _by_chance(rows: Rows, positions: "np.ndarray", groups: "np.ndarray") -> str:
    """How many rows a random split tests on that are nearly the same as one it trains on: what is to be expected, for it joins
    only texts that are the same."""
    import numpy as np

    texts, counts = np.unique(rows.texts, return_counts=True)
    copies = counts[np.searchsorted(texts, rows.texts[positions])]
    held = 1 - RandomSplit().train
    alike = np.bincount(groups)[groups]
    expected = round(float((copies * held * (1 - held ** (alike - 1))).sum()))
    if not expected:
        return " A split by chance may train on one and test on the other."
    return (
        f" A random split would test on about {rows_text(expected)} that {'is' if expected == 1 else 'are'} nearly the same as one "
        "it trains on: the figures of a run would be too good."
    )


def _leaks(rows: Rows, of_position: dict[int, tuple[int, float]], said: str) -> list[Found]:
    import numpy as np

    if rows.asked.part is None:
        return []
    positions = np.array([at for at in of_position if rows.parts[at] != NO_PART], np.int64)
    numbers = np.array([of_position[int(at)][0] for at in positions])
    order = np.lexsort((positions, numbers))
    positions, groups = _in_order(positions[order], numbers[order])
    notes = np.array([f"{100 * of_position[int(at)][1]:.0f} % alike" for at in positions])
    return _across(rows, positions, groups, notes, "near-leaks", said)


def _across(
    rows: Rows, positions: "np.ndarray", groups: "np.ndarray", notes: "np.ndarray", name: str, said: str
) -> list[Found]:
    """The groups with rows in the training part and in another."""
    import numpy as np

    if not len(positions):
        return []
    held = rows.parts[positions] != TRAIN
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    both = np.logical_or.reduceat(held, starts) & np.logical_or.reduceat(~held, starts)
    stays = both[groups]
    positions, groups, held, notes = positions[stays], groups[stays], held[stays], notes[stays]
    if not len(positions):
        return []
    _, groups = np.unique(groups, return_inverse=True)
    roles = np.where(held, "held", "train").tolist()
    count, train = int(held.sum()), int((~held).sum())
    of = int(((rows.parts != TRAIN) & (rows.parts != NO_PART)).sum())
    exact = name == "leaks"
    what = "is also" if count == 1 else "are also"
    return [
        Found(
            id=name,
            severity="error" if exact else "warning",
            title="Tested on what was trained on" if exact else "Tested on nearly what was trained on",
            message=f"{share_text(count, of)} of the validation and test parts {what} in the training part"
            f"{'' if exact else ', nearly word by word'}: the figures of a run would be too good.{said}",
            count=count,
            columns=[*rows.asked.text, *([rows.asked.part] if rows.asked.part else [])],
            positions=positions,
            groups=groups,
            roles=roles,
            notes=[note for note in notes.tolist()] if notes[0] else [],
            fixes=[
                drop(
                    train,
                    f"Drop the training copies ({rows_text(train)}); the test stays as it is",
                    "train",
                    "drop-train",
                ),
                drop(count, f"Drop the tested copies ({rows_text(count)})", "held", "drop-held"),
                Fix(
                    "move",
                    f"Move the tested copies to train ({rows_text(count)})",
                    count,
                    {"kind": "put", "column": rows.asked.part, "value": "train"},
                    "held",
                ),
            ],
        )
    ]


def _in_order(positions: "np.ndarray", numbers: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Groups numbered and sorted by their first row; `positions` ascend within each."""
    import numpy as np

    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    begins = positions[first][inverse]
    order = np.lexsort((positions, begins))
    _, groups = np.unique(begins[order], return_inverse=True)
    return positions[order], groups
