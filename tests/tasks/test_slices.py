"""Where a run fails: slices that are planted are found, and what may be chance is not called sure."""

from pathlib import Path

import pytest

from app.tasks import heldout
from app.tasks.heldout import Prediction
from app.tasks.slices import LEAST_ROWS, confusions, slices


def write(path: Path, rows: list[Prediction]) -> Path:
    heldout.write(path, rows)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """300 rows: a third of the long ones is wrong, hardly any of the others; "a" is taken for "b" only."""
    rows = []
    for row in range(300):
        long = row % 4 == 0
        wrong = row % 12 == 0 or row == 5
        truth = "a" if wrong or row % 2 else "b"
        predicted = ("b" if truth == "a" else "a") if wrong else truth
        text = "word " * (40 if long else 3 + row % 2)
        rows.append(Prediction(row, text, truth, predicted, wrong, 0.5, (truth,), {"probability": 0.9}))
    return write(tmp_path / "heldout.parquet", rows)


def test_a_length_at_which_it_fails_stands_first_and_is_sure(path: Path) -> None:
    first, *others = slices(path, {})
    assert (first.by, first.value, first.rows, first.wrong, first.sure) == (
        "length",
        "40 words",
        75,
        25,
        True,
    )
    assert first.low is not None and first.high is not None and first.low < 1 / 3 < first.high
    assert (
        first.sentence
        == "Of the 75 texts of 40 words 33 % are wrong, of all others 0 %: more than chance explains."
    )
    assert {one.by for one in others} == {"length", "label"}
    assert sorted(one.rows for one in (first, *others) if one.by == "length") == [75, 75, 150]


def test_lengths_are_in_tokens_where_the_run_has_kept_them(tmp_path: Path) -> None:
    """A text of one word may have many, and it is they that the model reads."""
    rows = [
        Prediction(row, "a", "a", "b" if row < 40 else "a", row < 40, 0.5, (), {}, tokens=90 if row < 40 else 3 + row % 5)
        for row in range(120)
    ]  # fmt: skip
    first = slices(write(tmp_path / "heldout.parquet", rows), {})[0]
    assert (first.by, first.value, first.rows, first.wrong) == ("length", "90 tokens", 40, 40)


def test_other_columns_make_slices_and_tiny_ones_do_not(path: Path) -> None:
    source = {row: "web" if row % 12 == 0 else "" if row % 5 else "mail" for row in range(300)}
    source[1] = "fax"
    found = [one for one in slices(path, {"source": source}) if one.by == "column"]
    assert [one.value for one in found if one.sure] == ["web"]
    assert "fax" not in [one.value for one in found] and all(one.rows >= LEAST_ROWS for one in found)
    assert "with nothing in source" in next(one for one in found if one.value == "").sentence


def test_what_may_be_chance_is_said_to_be(tmp_path: Path) -> None:
    rows = [
        Prediction(
            row, "a text", "a", "b" if row % 10 == 0 else "a", row % 10 == 0, 0.5, (), {"probability": 0.9}
        )
        for row in range(200)
    ]
    columns = {"half": {row: "first" if row < 95 or row == 100 else "second" for row in range(200)}}
    found = slices(write(tmp_path / "heldout.parquet", rows), columns)
    assert len(found) == 2 and not any(one.sure for one in found)
    assert "that may be chance" in found[0].sentence and "chance" not in found[1].sentence


def test_pairs_of_classes_are_counted_most_often_first(path: Path) -> None:
    (only,) = confusions(path)
    assert (only.truth, only.predicted, only.rows) == ("a", "b", 26)
    assert only.share == only.rows / only.of


def test_scores_have_their_mean_error(tmp_path: Path) -> None:
    rows = [
        Prediction(
            row, f"text {row}", f"{row / 20}", "", row % 9 == 0, 0.1, (),
            {"truth": row / 20, "predicted": row / 20 + (2.0 if row < 20 else 0.1) + row % 3 / 100},
        )
        for row in range(100)
    ]  # fmt: skip
    first = slices(write(tmp_path / "heldout.parquet", rows), {})[0]
    assert (first.by, first.name, first.wrong, first.low, first.sure) == (
        "label",
        "true score",
        None,
        None,
        True,
    )
    assert first.sentence.startswith("The 25 rows with a true score of 0 to 1.2 are off by 1.6")
    assert confusions(tmp_path / "heldout.parquet") == []


def test_tagging_has_its_entity_types_and_texts_have_none(tmp_path: Path) -> None:
    rows = [
        Prediction(
            row, f"Anna met row {row}", "x", "x", row % 2 == 0, 0.1, ("PER",),
            {"tokens": ["Anna"], "true": [[0, 1, "PER"]] if row % 2 == 0 else [], "predicted": []},
        )
        for row in range(80)
    ]  # fmt: skip
    found = slices(write(tmp_path / "heldout.parquet", rows), {})
    assert {(one.value, one.figure) for one in found if one.by == "label"} == {
        ("PER", 1.0),
        ("no label", 0.0),
    }
    written = [
        Prediction(
            row, "a", "b", "c", False, 0.1, (), {"source": "a", "reference": "b", "output": "c", "chrf": 3.0}
        )
        for row in range(80)
    ]
    assert slices(write(tmp_path / "texts.parquet", written), {}) == []
