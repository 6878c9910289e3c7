"""The geometry of the small pictures that are plain SVG: sparklines, bars of labels, the confusion matrix."""

from typing import Any

SPARK_WIDTH, SPARK_HEIGHT, SPARK_POINTS = 98, 24, 48
MOST_CLASSES = 24  # more don't fit a picture; the table of classes has them all
MOST_BARS = 12
MOST_PAIRS = 12


def sparkline(values: list[float]) -> str:
    """The `d` of a path that fits 98 × 24; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    stride = max(1, -(-len(values) // SPARK_POINTS))
    # From the end backwards, so that the newest value is always there.
    shown = values[::-1][::stride][::-1]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    width = (SPARK_WIDTH - 4) / max(1, len(shown) - 1)
    dots = [
        f"{2 + place * width:.1f} {SPARK_HEIGHT - 3 - (value - low) / span * (SPARK_HEIGHT - 6):.1f}"
        for place, value in enumerate(shown)
    ]
    return "M" + "L".join(dots)


def label_bars(counts: dict[str, int] | None) -> dict[str, Any] | None:
    """{"bars": [{"label", "count", "width" (0–100)}], "more": how many labels are not shown, "rows": of those}"""
    if not counts:
        return None
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    top = ordered[0][1] or 1
    shown = ordered[:MOST_BARS]
    return {
        "bars": [
            {"label": label, "count": count, "width": max(0.6, 100 * count / top)} for label, count in shown
        ],
        "more": len(ordered) - len(shown),
        "rows": sum(count for _, count in ordered[MOST_BARS:]),
        "classes": len(ordered),
    }


def confusion(results: dict[str, Any]) -> dict[str, Any] | None:
    """Cells of the confusion matrix: {"size", "cell", "labels", "cells": [{"x", "y", "count", "share", "right"}]}.

    `share` is the part of the row's true label. Rows are the truth, columns what was predicted.
    """
    labels, matrix = results.get("labels"), results.get("confusion")
    if not labels or not matrix or len(labels) > MOST_CLASSES:
        return None
    cell = 84 if len(labels) <= 3 else 66 if len(labels) <= 5 else 36 if len(labels) <= 12 else 22
    longest = max(len(_short(label)) for label in labels)
    left = 14 + 6.5 * longest
    slanted = 6.5 * longest > cell
    cells = []
    for row, counts in enumerate(matrix):
        total = sum(counts)
        for column, count in enumerate(counts):
            share = count / total if total else 0.0
            cells.append(
                {
                    "x": left + column * cell,
                    "y": 4 + row * cell,
                    "count": count,
                    "share": share,
                    "right": row == column,
                    "truth": labels[row],
                    "predicted": labels[column],
                    # Empty cells keep a trace of colour, so that the grid stays visible.
                    "opacity": round(0.06 + 0.8 * share, 3),
                }
            )
    return {
        "cells": cells,
        "labels": [_short(label) for label in labels],
        "cell": cell,
        "left": left,
        "width": left + cell * len(labels) + 4,
        "slanted": slanted,
        "height": 4 + cell * len(labels) + (10 + 0.75 * left if slanted else 22),
        "with_text": cell >= 36,
    }


def confused_pairs(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What was taken for what, most often first: [{"truth", "predicted", "count", "share" (of the true label)}].

    For so many classes that their confusion matrix is no picture any more; empty for fewer.
    """
    labels, matrix = results.get("labels"), results.get("confusion")
    if not labels or not matrix or len(labels) <= MOST_CLASSES:
        return []
    pairs = [
        {"truth": labels[row], "predicted": labels[column], "count": count, "share": count / sum(counts)}
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair["count"], -pair["share"]))[:MOST_PAIRS]


def _short(label: str) -> str:
    """At most 18 characters; what tells long labels apart is often at their end, so the middle goes."""
    return label if len(label) <= 18 else f"{label[:9].rstrip()}…{label[-8:].lstrip()}"
