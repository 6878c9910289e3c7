"""What is doubted of a row, in words: its label or one of its labels, and what it would have instead."""

import numpy as np

from worker.label_kinds import Doubt, kind_of


def test_one_label_is_doubted_for_another() -> None:
    kind = kind_of(False, ["a", "b", "b"], ["a", "b"])
    doubts, _ = kind.doubts(np.array([[0.1, 0.9], [0.2, 0.8], [0.1, 0.9]]), 10)
    assert doubts == [Doubt(0, "a", "b", 0.1, 0.9)]


def test_of_several_labels_one_is_too_many_or_missing() -> None:
    rows: list[list[str]] = [["a", "b"], [], *([["a"], ["b"]] * 4)]
    kind = kind_of(True, rows, ["a", "b"])
    sure = np.array([[0.9, 0.1], [0.1, 0.9]] * 4)
    probabilities = np.vstack([[[0.9, 0.05], [0.1, 0.95]], sure])
    doubts, likely = kind.doubts(probabilities, 10)
    assert likely == 2 and {one.row for one in doubts} == {0, 1}
    assert {(one.label, one.suggested, one.about) for one in doubts} == {("a|b", "a", "b"), ("", "b", "b")}
    assert all((one.p_label or 0) < 0.1 < (one.p_suggested or 0) for one in doubts)
    assert len(kind.doubts(probabilities, 1)[0]) == 1
