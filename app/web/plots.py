"""The geometry of the pictures of results that are plain SVG: reliability diagram, scatter, bars of scores."""

import math
from typing import Any

from app.tasks.base import Metric
from app.web.standing import figure

SIZE = 280  # of a square picture, without its margins
LEFT, TOP, BOTTOM = 52, 8, 36
STRIP = 34  # of the counts below the reliability diagram
LAYERS = 6  # of the dots: where they lie on each other it gets darker
MOST_BARS = 40
UNBOUND = Metric("value", "value", lower=True, top=None)


def reliability(results: dict[str, Any]) -> dict[str, Any] | None:
    """Bars of accuracy over the bins of confidence, and how many rows each has: {"bars": [{"x", "y", "width", "height", …}]}."""
    bins = results.get("reliability")
    if not bins:
        return None
    most = max(one["rows"] for one in bins)
    bars = []
    for one in bins:
        x, width = LEFT + one["low"] * SIZE, (one["high"] - one["low"]) * SIZE
        height, count = one["accuracy"] * SIZE, max(1.5, one["rows"] / most * (STRIP - 4))
        bars.append(
            {
                **one,
                "x": round(x + 1, 2),
                "width": round(width - 2, 2),
                "y": round(TOP + SIZE - height, 2),
                "height": round(height, 2),
                "mean_x": round(LEFT + one["confidence"] * SIZE, 2),
                "count_y": round(TOP + SIZE + BOTTOM + STRIP - count, 2),
                "count_height": round(count, 2),
            }
        )
    return {**_square(0.0, 1.0), "bars": bars, "height": TOP + SIZE + BOTTOM + STRIP + 2, "most": most}


def scatter(results: dict[str, Any]) -> dict[str, Any] | None:
    """Predicted against true: {"paths": of dots, "ticks", …}; both axes are the same, so the diagonal is what is right."""
    found = results.get("scatter") or {}
    pairs = [
        (true, predicted)
        for true, predicted in zip(found.get("truth") or [], found.get("predicted") or [], strict=False)
        if isinstance(true, int | float) and isinstance(predicted, int | float)
    ]
    if not pairs:
        return None
    low, high = (choose(min(pair) if choose is min else max(pair) for pair in pairs) for choose in (min, max))
    pad = 0.04 * (high - low) or 0.5
    square = _square(low - pad, high + pad)
    scale = SIZE / (square["high"] - square["low"])
    paths = [""] * LAYERS
    for place, (true, predicted) in enumerate(pairs):
        x, y = LEFT + (true - square["low"]) * scale, TOP + SIZE - (predicted - square["low"]) * scale
        paths[place % LAYERS] += f"M{x:.1f} {y:.1f}h0"
    return {**square, "paths": [path for path in paths if path], "dots": len(pairs)}


def f1_bars(results: dict[str, Any]) -> list[dict[str, Any]]:
    """F1 of each label, the most frequent first: [{"label", "f1", "width", "title"}]. Where no confusion matrix shows it."""
    rows = results.get("per_class") or []
    if results.get("confusion") or not rows:
        return []
    ordered = sorted(rows, key=lambda one: (-(one.get("support") or 0), one["label"]))
    return [
        {
            "label": one["label"],
            "f1": one["f1"],
            "width": max(0.4, 100 * one["f1"]),
            "title": f"precision {one['precision']:.3f}, recall {one['recall']:.3f}, {one['support']:,} times",
        }
        for one in ordered[:MOST_BARS]
    ]


def before_after(results: dict[str, Any], key: str = "before_after") -> dict[str, Any] | None:
    """Two bars of the result `key`: {"title", "bars": [{"name", "text", "width"}], "change" (in percent), "better"}."""
    found = results.get(key)
    if not found:
        return None
    before, after = found["before"], found["after"]
    most = max(abs(before), abs(after)) or 1.0
    values = (("before", before), ("after", after))
    return {
        "title": found["title"],
        "unit": found.get("unit", ""),
        "lower": found.get("lower", False),
        "better": (after < before) if found.get("lower") else (after > before),
        "change": 100 * (after - before) / abs(before) if before else None,
        "bars": [
            {"name": name, "text": figure(UNBOUND, value), "width": 100 * abs(value) / most}
            for name, value in values
        ],
    }


def drift(results: dict[str, Any]) -> list[dict[str, Any]]:
    """How far each level has moved, the head first: [{"level", "learned", "text" (in percent), "width"}]."""
    found = results.get("drift") or []
    most = max((one["drift"] for one in found), default=0.0)
    return [
        {
            "level": one["level"],
            "learned": one["learned"],
            # All with three digits, so that they stand below each other.
            "text": f"{100 * one['drift']:#.3g}".rstrip(".") + " %" if one["learned"] else "frozen",
            "width": 100 * one["drift"] / most,
        }
        for one in reversed(found)
        if most
    ]


def _square(low: float, high: float) -> dict[str, Any]:
    """A square picture whose axes both go from `low` to `high`, with some five round ticks."""
    ticks = [
        {
            "text": text,
            "x": round(LEFT + (value - low) / (high - low) * SIZE, 2),
            "y": round(TOP + SIZE - (value - low) / (high - low) * SIZE, 2),
        }
        for value, text in _ticks(low, high)
    ]
    return {
        "low": low,
        "high": high,
        "left": LEFT,
        "top": TOP,
        "right": LEFT + SIZE,
        "bottom": TOP + SIZE,
        "width": LEFT + SIZE + 10,
        "height": TOP + SIZE + BOTTOM,
        "ticks": ticks,
    }


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers between: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [
        (number * step, f"{number * step:,.{digits}f}".replace("-", "−")) for number in range(first, last + 1)
    ]
