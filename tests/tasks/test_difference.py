"""Two runs on the rows that both were tested on."""

from pathlib import Path

import pytest

from app.tasks import heldout
from app.tasks.difference import difference
from app.tasks.heldout import Prediction


def answers(path: Path, rows: dict[int, tuple[str, str]]) -> Path:
    """row → (label, answer)"""
    found = [
        Prediction(row, f"text {row}", truth, said, truth != said, 0.5, (), {"probability": 0.8})
        for row, (truth, said) in rows.items()
    ]
    heldout.write(path, found)
    return path


def test_only_rows_that_both_tested_count_and_corrected_labels_judge_both(tmp_path: Path) -> None:
    before = answers(
        tmp_path / "a", {1: ("x", "x"), 2: ("x", "y"), 3: ("y", "y"), 4: ("x", "y"), 9: ("x", "y")}
    )
    after = answers(
        tmp_path / "b", {1: ("x", "x"), 2: ("x", "x"), 3: ("x", "x"), 4: ("x", "x"), 8: ("y", "y")}
    )
    found = difference(before, after)
    assert (found.rows, found.left, found.right, found.relabelled) == (4, 1, 1, 1)
    assert (found.better, found.worse) == (3, 0)  # row 3: its label was wrong when the first said the same
    assert [one["name"] for one in found.figures] == ["accuracy", "macro_f1"]
    assert (found.figures[0]["before"], found.figures[0]["after"]) == (0.25, 1.0)
    assert {one.row_id for one in found.changed} == {2, 3, 4} and all(one.better for one in found.changed)
    assert found.chance == pytest.approx(0.25) and "may be chance (p = 0.25" in found.sentence


def test_a_clear_change_is_called_one(tmp_path: Path) -> None:
    before = answers(tmp_path / "a", {row: ("x", "y" if row < 20 else "x") for row in range(50)})
    after = answers(tmp_path / "b", {row: ("x", "y" if row == 49 else "x") for row in range(50)})
    found = difference(before, after)
    assert (found.better, found.worse) == (20, 1)
    assert "the second run is better, and not by chance (p = under 0.001" in found.sentence
    assert not found.changed[0].better  # what became worse is looked at first
    assert difference(after, after).sentence == "Both answer every row equally well."


def test_macro_f1_is_that_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    rows = {row: ("abc"[row % 3], "abcd"[(row * row) % 4]) for row in range(40)}
    path = answers(tmp_path / "a", rows)
    truth, said = zip(*rows.values(), strict=True)
    theirs = f1_score(truth, said, average="macro", zero_division=0)
    assert difference(path, path).figures[1]["after"] == pytest.approx(theirs)


def test_scores_are_compared_by_their_error(tmp_path: Path) -> None:
    def scores(path: Path, off: float) -> Path:
        rows = [
            Prediction(row, "t", "1", "2", False, off, (), {"truth": float(row), "predicted": row + off})
            for row in range(12)
        ]
        heldout.write(path, rows)
        return path

    found = difference(scores(tmp_path / "a", 1.0), scores(tmp_path / "b", 0.5))
    assert (found.better, found.worse, found.chance < 0.05) == (12, 0, True)
    assert found.figures == [{"name": "mae", "lower": True, "before": 1.0, "after": 0.5}]
    assert found.sentence.startswith("The error became smaller on 12 rows and larger on 0")


def test_runs_without_a_row_in_common_say_so(tmp_path: Path) -> None:
    found = difference(answers(tmp_path / "a", {1: ("x", "x")}), answers(tmp_path / "b", {2: ("x", "x")}))
    assert (found.rows, found.figures) == (0, [])
