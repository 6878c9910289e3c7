"""Thins curves for the eye: what stays are the extremes of each stretch, so that a spike never disappears.

Method: MinMaxLTTB (Van Der Donckt et al. 2023, arXiv:2305.00332), as tsdownsample implements it.
"""

from typing import Any

Curve = dict[str, list[Any]]


def thin(curves: dict[str, Curve], most: int | None) -> dict[str, Curve]:
    """Each curve with at most `most` (>= 2) points; None leaves them as they are."""
    if most is None:
        return curves
    return {name: _thin(curve, most) for name, curve in curves.items()}


def _thin(curve: Curve, most: int) -> Curve:
    count = len(curve["step"])
    if count <= most:
        return curve
    kept = sorted(_chosen(curve["step"], curve["value"], most))
    return {name: [values[index] for index in kept] for name, values in curve.items()}


def _chosen(steps: list[int], values: list[float | None], most: int) -> list[int]:
    finite = [index for index, value in enumerate(values) if value is not None]
    # A curve that became NaN: its first gaps stay visible, in a tenth of the room.
    gaps = [index for index, value in enumerate(values) if value is None][: most // 10]
    room = most - len(gaps)
    if len(finite) <= room:
        return finite + gaps
    if room < 4:  # too few for the method: the ends
        return [finite[0], finite[-1]][:room] + gaps
    import numpy as np
    from tsdownsample import MinMaxLTTBDownsampler

    x = np.array([steps[index] for index in finite], dtype=np.int64)
    y = np.array([values[index] for index in finite], dtype=np.float64)
    sampler: Any = MinMaxLTTBDownsampler
    picked = sampler().downsample(x, y, n_out=room)
    return [finite[int(index)] for index in picked] + gaps
