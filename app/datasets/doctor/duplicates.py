"""The same text more than once: with the same label, and with different ones."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from app.datasets.doctor.base import NO_LABEL, Check, Found, Rows, drop, groups_of, rows_text, share_text

if TYPE_CHECKING:
    import numpy as np

MUCH = 0.01  # share of the rows from which on labels that contradict each other are an error


class Duplicates(Check):
    """Rows that say what another row says already, capital letters and white space aside."""

    doing = "looking for copies"

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        if rows.too_many_labels or rows.asked.label is None:
            keys = rows.texts
        else:
            keys = rows.texts ^ (rows.labels.astype(np.int64) * np.int64(0x5851F42D4C957F2D))
        # A copy in another part is a leak, which has a finding of its own: here each part stands for itself.
        keys = keys ^ (rows.parts.astype(np.int64) * np.int64(0x14057B7EF767814F))
        positions, groups = groups_of(keys, rows.texts != 0)
        if not len(positions):
            return []
        first = np.r_[True, groups[1:] != groups[:-1]]
        extra = int((~first).sum())
        label = " and the same label" if rows.asked.label else ""
        return [
            Found(
                id="duplicates",
                severity="warning",
                title="The same row again",
                message=f"{share_text(extra, rows.count)} repeat the text{label} of an earlier row (capital letters and white space "
                "aside). What comes twice counts twice.",
                count=extra,
                columns=list(rows.asked.columns),
                positions=positions,
                groups=groups,
                roles=np.where(first, "first", "copy").tolist(),
                fixes=[drop(extra, f"Keep the first of each, drop {rows_text(extra)}", "copy", "keep-first")],
            )
        ]


class Conflicts(Check):
    """The same text with different labels: at least one of them is wrong."""

    doing = "comparing the labels of equal texts"

    def finish(self, rows: Rows) -> list[Found]:
        import numpy as np

        if rows.asked.label is None or rows.too_many_labels:
            return []
        positions, groups = groups_of(rows.texts, (rows.texts != 0) & (rows.labels != NO_LABEL))
        if not len(positions):
            return []
        labels = rows.labels[positions]
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        mixed = np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)
        stays = mixed[groups]
        positions, labels = positions[stays], labels[stays]
        if not len(positions):
            return []
        _, groups = np.unique(groups[stays], return_inverse=True)
        roles = _minority(groups, labels)
        texts, minority = int(groups[-1]) + 1, roles.count("minority")
        what = "1 text has" if texts == 1 else f"{texts:,} texts have"
        return [
            Found(
                id="conflicts",
                severity="error" if len(positions) >= MUCH * rows.count else "warning",
                title="The same text, different labels",
                message=f"{what} more than one label, in {share_text(len(positions), rows.count)}: whatever a model answers there is "
                "wrong for one of them.",
                count=len(positions),
                columns=list(rows.asked.columns),
                positions=positions,
                groups=groups,
                roles=roles,
                notes=[rows.names[label] for label in labels],
                fixes=[
                    drop(len(positions)),
                    drop(
                        minority,
                        f"Keep the commoner label (else the first), drop {rows_text(minority)}",
                        "minority",
                        "majority",
                    ),
                ],
            )
        ]


def _minority(groups: "np.ndarray", labels: "np.ndarray") -> list[str]:
    """For each row whether its label is the most frequent of its group (of equally frequent ones the first)."""
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    pairs = list(zip(groups.tolist(), labels.tolist(), strict=True))
    for group, label in pairs:
        counts[group][label] += 1
    best = {group: found.most_common(1)[0][0] for group, found in counts.items()}
    return ["majority" if best[group] == label else "minority" for group, label in pairs]
