"""Thinning keeps what the eye looks for."""

import pytest

from app.web.points import Curve, thin


def curve(values: list[float | None]) -> Curve:
    steps = list(range(1, len(values) + 1))
    return {"step": steps, "value": values, "time": [float(step) for step in steps]}


def test_a_spike_survives_thinning() -> None:
    values: list[float | None] = [0.5] * 10_000
    values[6_543] = 9.0
    thinned = thin({"train/loss": curve(values)}, 200)["train/loss"]
    assert len(thinned["step"]) <= 200
    assert 9.0 in thinned["value"]
    place = thinned["value"].index(9.0)
    assert thinned["step"][place] == 6_544 and thinned["time"][place] == 6_544.0


def test_the_ends_stay_and_the_order_too() -> None:
    thinned = thin({"a": curve([float(number % 7) for number in range(5_000)])}, 100)["a"]
    assert thinned["step"][0] == 1 and thinned["step"][-1] == 5_000
    assert thinned["step"] == sorted(set(thinned["step"]))


def test_short_curves_and_no_limit_leave_all() -> None:
    short = {"a": curve([1.0, None, 3.0])}
    assert thin(short, 3) == short
    assert thin(short, None) == short


@pytest.mark.parametrize("most", [2, 3, 4, 5, 10])
def test_never_more_than_asked_for(most: int) -> None:
    thinned = thin({"a": curve([float(number) for number in range(1000)])}, most)["a"]
    assert 2 <= len(thinned["step"]) <= most


def test_where_a_curve_became_nan_stays_visible() -> None:
    values: list[float | None] = [*[0.5] * 500, *[None] * 500]
    thinned = thin({"a": curve(values)}, 100)["a"]
    assert len(thinned["step"]) <= 100
    assert None in thinned["value"]
    assert thinned["step"][thinned["value"].index(None)] == 501


def test_a_curve_of_gaps_alone_is_thinned_too() -> None:
    thinned = thin({"a": curve([None] * 100)}, 20)["a"]
    assert 0 < len(thinned["step"]) <= 20
