"""The geometry of the pictures of results."""

import re

import pytest

from app.web.plots import LEFT, SIZE, TOP, before_after, drift, f1_bars, reliability, scatter


def test_a_reliability_bar_stands_in_its_bin_and_reaches_its_accuracy() -> None:
    bins = [
        {"low": 0.5, "high": 0.75, "rows": 4, "confidence": 0.6, "accuracy": 0.5},
        {"low": 0.75, "high": 1.0, "rows": 400, "confidence": 0.9, "accuracy": 1.0},
    ]
    shown = reliability({"reliability": bins})
    assert shown is not None
    half, full = shown["bars"]
    assert half["x"] >= LEFT + SIZE / 2 and half["x"] + half["width"] <= full["x"]
    assert (half["height"], half["y"]) == (SIZE / 2, TOP + SIZE / 2)
    assert (full["height"], full["y"]) == (SIZE, TOP)
    assert 0 < half["count_height"] < full["count_height"]
    assert full["count_y"] + full["count_height"] <= shown["height"]


def test_dots_on_the_diagonal_are_right_and_all_lie_inside() -> None:
    shown = scatter({"scatter": {"truth": [1.0, 5.0, 2.0], "predicted": [1.0, 5.0, 9.0]}})
    assert shown is not None and shown["dots"] == 3
    dots = [
        tuple(map(float, dot)) for path in shown["paths"] for dot in re.findall(r"M([\d.]+) ([\d.]+)h0", path)
    ]
    assert len(dots) == 3
    assert all(shown["left"] <= x <= shown["right"] and shown["top"] <= y <= shown["bottom"] for x, y in dots)
    on = [abs((x - shown["left"]) - (shown["bottom"] - y)) < 0.2 for x, y in dots]
    assert on == [True, True, False]
    assert [tick["text"] for tick in shown["ticks"]] == ["2", "4", "6", "8"]


@pytest.mark.parametrize("value", [0.0, 3.5, -1e9, 1e-9])
def test_one_value_alone_is_a_picture_too(value: float) -> None:
    shown = scatter({"scatter": {"truth": [value], "predicted": [value]}})
    assert shown is not None and shown["ticks"]


def test_many_dots_become_a_few_paths() -> None:
    shown = scatter({"scatter": {"truth": list(range(2000)), "predicted": list(range(2000))}})
    assert shown is not None and len(shown["paths"]) == 6 and shown["dots"] == 2000


def test_f1_bars_begin_with_the_most_frequent_label() -> None:
    rows = [
        {"label": name, "precision": 0.5, "recall": 0.5, "f1": f1, "support": support}
        for name, f1, support in (("rare", 0.0, 1), ("often", 0.9, 50))
    ]
    assert [(one["label"], one["width"] > 0) for one in f1_bars({"per_class": rows})] == [
        ("often", True),
        ("rare", True),
    ]
    assert f1_bars({"per_class": rows, "confusion": [[1]]}) == []


def test_before_and_after_share_a_scale() -> None:
    shown = before_after(
        {"before_after": {"title": "perplexity", "before": 40.0, "after": 10.0, "lower": True, "unit": ""}}
    )
    assert shown is not None
    assert [bar["width"] for bar in shown["bars"]] == [100.0, 25.0]
    assert shown["better"] and shown["change"] == -75.0


def test_what_was_forgotten_is_drawn_the_same_way() -> None:
    found = {"title": "loss", "before": 3.0, "after": 4.5, "lower": True, "unit": "nats per token"}
    shown = before_after({"forgotten": found}, "forgotten")
    assert shown is not None and not shown["better"] and shown["change"] == 50.0


def test_no_picture_of_what_is_missing() -> None:
    assert reliability({}) is None and scatter({}) is None and before_after({}) is None
    assert f1_bars({}) == [] and scatter({"scatter": {"truth": [], "predicted": []}}) is None


def test_drift_is_in_percent_with_the_head_first_and_says_what_was_frozen() -> None:
    results = {
        "drift": [
            {"level": "embeddings", "drift": 0.0, "learned": False},
            {"level": "block 1", "drift": 0.0120, "learned": True},
            {"level": "block 2", "drift": 0.0240, "learned": True},
        ]
    }
    found = drift(results)
    assert [(one["level"], one["text"], one["width"]) for one in found] == [
        ("block 2", "2.40 %", 100.0),
        ("block 1", "1.20 %", 50.0),
        ("embeddings", "frozen", 0.0),
    ]


def test_a_model_that_has_not_moved_has_no_picture_of_drift() -> None:
    assert drift({"drift": [{"level": "block 1", "drift": 0.0, "learned": False}]}) == []
    assert drift({}) == []
