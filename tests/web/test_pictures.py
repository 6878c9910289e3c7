"""The geometry of the small pictures."""

import re

from app.web.pictures import MOST_CLASSES, confused_pairs, confusion, label_bars, sparkline


def test_a_sparkline_fits_its_box_and_ends_with_the_newest_value() -> None:
    path = sparkline([1.0] * 500 + [0.0])
    dots = [tuple(map(float, dot.split())) for dot in re.split("[ML]", path)[1:]]
    assert 2 <= len(dots) <= 48
    assert all(0 <= x <= 98 and 0 <= y <= 24 for x, y in dots)
    assert dots[-1][1] == 21.0  # the lowest value lies at the bottom


def test_a_curve_without_a_line_has_no_sparkline() -> None:
    assert sparkline([]) == sparkline([1.0]) == ""
    assert sparkline([2.0, 2.0])


def test_bars_are_ordered_and_the_rest_is_counted() -> None:
    shown = label_bars({f"label {n}": n + 1 for n in range(20)})
    assert shown is not None
    assert [bar["count"] for bar in shown["bars"]] == list(range(20, 8, -1))
    assert shown["bars"][0]["width"] == 100
    assert (shown["more"], shown["rows"]) == (8, sum(range(1, 9)))
    assert label_bars(None) is None and label_bars({}) is None


def test_confusion_shares_are_of_the_true_label() -> None:
    shown = confusion({"labels": ["a", "b"], "confusion": [[3, 1], [0, 0]]})
    assert shown is not None
    assert [cell["share"] for cell in shown["cells"]] == [0.75, 0.25, 0.0, 0.0]
    assert [cell["right"] for cell in shown["cells"]] == [True, False, False, True]
    assert all(cell["x"] + shown["cell"] <= shown["width"] for cell in shown["cells"])


def test_no_picture_of_what_is_missing_or_too_big() -> None:
    many = [str(number) for number in range(MOST_CLASSES + 1)]
    assert confusion({"labels": many, "confusion": [[0] * len(many)] * len(many)}) is None
    assert confusion({}) is None


def test_long_labels_keep_both_ends() -> None:
    labels = [f"a label with a long name, number {number}" for number in range(2)]
    shown = confusion({"labels": labels, "confusion": [[1, 0], [0, 1]]})
    assert shown is not None
    assert shown["labels"] == ["a label w…number 0", "a label w…number 1"]


def test_too_many_classes_become_a_list_of_what_was_confused() -> None:
    size = MOST_CLASSES + 1
    matrix = [[10 if row == column else 0 for column in range(size)] for row in range(size)]
    matrix[3][5], matrix[7][1] = 2, 10
    pairs = confused_pairs({"labels": [f"c{place}" for place in range(size)], "confusion": matrix})
    assert [(pair["truth"], pair["predicted"], pair["count"]) for pair in pairs] == [
        ("c7", "c1", 10),
        ("c3", "c5", 2),
    ]
    assert pairs[0]["share"] == 0.5
    assert confused_pairs({"labels": ["a", "b"], "confusion": [[0, 1], [1, 0]]}) == []
