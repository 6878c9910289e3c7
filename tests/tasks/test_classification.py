"""Metrics against values worked out by hand, and data that can't be learned from."""

import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.tasks import TASKS, task
from app.tasks.classification import Classification, expected_calibration_error, reliability
from app.tasks.examples import Examples

TASK = Classification()


@pytest.fixture
def spec() -> RunSpec:
    columns = {"text": "text", "label": "stars"}
    return parse_spec({"dataset": "abcdefabcdef", "task": "classification", "columns": columns})


def examples(*pairs: tuple[str, str]) -> Examples:
    texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    return Examples(list(range(len(pairs))), {"text": texts, "label": labels}, ["train"] * len(pairs))


def test_the_registry_has_the_task_and_names_it_when_another_is_asked_for() -> None:
    assert task("classification") is TASKS["classification"]
    assert [role.name for role in TASK.roles({})] == ["text", "label"]
    assert (TASK.primary, TASK.primary_is_lower) == ("macro_f1", False)
    with pytest.raises(Invalid, match="no task 'ranking'; choose one of classification"):
        task("ranking")


def test_labels_are_ordered_by_code_point() -> None:
    assert TASK.labels(examples(("a", "b"), ("b", "B"), ("c", "10"), ("d", "9"), ("e", "é"), ("f", "b"))) == [
        "10",
        "9",
        "B",
        "b",
        "é",
    ]


def test_two_classes_by_hand() -> None:
    # Right, right, wrong (0.6 for class 1), right.
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])

    found = TASK.metrics([0, 1, 0, 1], probabilities, ["no", "yes"])

    assert found["accuracy"] == 0.75
    # no: precision 1, recall 1/2 → 2/3; yes: precision 2/3, recall 1 → 4/5.
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["log_loss"] == pytest.approx(
        -(math.log(0.9) + math.log(0.8) + math.log(0.4) + math.log(0.7)) / 4
    )
    # Every yes scores above every no.
    assert found["roc_auc"] == 1.0
    # Four bins with one row each: |1-0.9| + |1-0.8| + |0-0.6| + |1-0.7|.
    assert found["ece"] == pytest.approx((0.1 + 0.2 + 0.6 + 0.3) / 4)
    assert set(found) == {"accuracy", "macro_f1", "roc_auc", "log_loss", "ece"}


def test_roc_auc_counts_the_pairs_in_the_right_order() -> None:
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])

    # Pairs (no, yes): 0.1<0.4, 0.1<0.9, 0.7>0.4, 0.7<0.9: three of four.
    assert TASK.metrics([0, 0, 1, 1], probabilities, ["no", "yes"])["roc_auc"] == 0.75


@pytest.mark.parametrize("classes", [2, 5])
def test_roc_auc_is_scikit_learns_with_ties_too(classes: int) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(1, 4, (200, classes)).astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    truth = generator.integers(0, classes, 200)
    again = probabilities / probabilities.sum(
        axis=1, keepdims=True
    )  # as it is taken: the last bit parts ties
    expected = roc_auc_score(
        truth, again[:, 1] if classes == 2 else again, multi_class="ovr", average="macro"
    )
    found = TASK.metrics(truth, probabilities, [str(place) for place in range(classes)])
    assert found["roc_auc"] == pytest.approx(expected)


def test_three_classes_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])

    found = TASK.metrics([0, 1, 2, 1], probabilities, ["a", "b", "c"])

    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found["log_loss"] == pytest.approx(
        -(math.log(0.8) + math.log(0.6) + math.log(0.7) + math.log(0.3)) / 4
    )
    assert found["roc_auc"] == pytest.approx(1.0)


def test_without_a_class_in_the_truth_roc_auc_is_left_out() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]])

    found = TASK.metrics([0, 1], probabilities, ["a", "b", "c"])
    single = TASK.metrics([1, 1], np.array([[0.4, 0.6], [0.3, 0.7]]), ["no", "yes"])

    assert "roc_auc" not in found and "roc_auc" not in single
    assert found["macro_f1"] == 1.0  # c occurs neither in the truth nor among the predictions
    assert found["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_certain_mistakes_give_a_finite_loss_and_no_warning() -> None:
    found = TASK.metrics([0, 1], np.array([[0.0, 1.0], [0.0, 1.0]]), ["no", "yes"])

    assert math.isfinite(found["log_loss"]) and found["log_loss"] > 10
    assert found["macro_f1"] == pytest.approx(1 / 3)


def test_rounded_probabilities_are_taken_as_they_are_meant() -> None:
    rounded = np.array([[0.333, 0.333, 0.333], [0.1, 0.1, 0.79], [0.3, 0.69, 0.0]], dtype=np.float16)

    found = TASK.metrics([0, 2, 1], rounded, ["a", "b", "c"])

    assert all(math.isfinite(value) for value in found.values())


def test_no_numbers_mean_that_training_diverged() -> None:
    with pytest.raises(Invalid, match="training diverged") as caught:
        TASK.metrics([0, 1], np.array([[np.nan, np.nan], [0.5, 0.5]]), ["no", "yes"])
    assert caught.value.kind == "training"


def test_a_wrong_shape_is_a_bug() -> None:
    with pytest.raises(ValueError, match="shape"):
        TASK.metrics([0, 1], np.array([[0.5, 0.5]]), ["no", "yes"])


def test_calibration_weighs_bins_by_their_rows() -> None:
    # Bin (0.8, 0.867]: 0.85, 0.85, 0.82, one wrong; bin (0.933, 1]: 1.0, right. A bound belongs to the bin below.
    top = np.array([0.85, 0.85, 0.82, 1.0])
    probabilities = np.stack([top, 1 - top], axis=1)
    truth = np.array([0, 0, 1, 0])

    expected = 3 / 4 * abs(2 / 3 - (0.85 + 0.85 + 0.82) / 3)
    assert expected_calibration_error(truth, probabilities) == pytest.approx(expected)
    third = np.array([[1 / 3, 1 / 3, 1 / 3]])
    assert expected_calibration_error(np.array([0]), third) == pytest.approx(2 / 3)


def test_results_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [0.05, 0.95, 0.0]])

    found = TASK.results([0, 1, 0, 2], probabilities, ["a", "b", "c"])

    assert found["labels"] == ["a", "b", "c"] and found["rows"] == 4
    assert found["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert found["per_class"] == [
        {"label": "a", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        {"label": "b", "precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "support": 1},
        {"label": "c", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
    ]
    json.dumps(found, allow_nan=False)


def test_the_reliability_diagram_has_the_bins_that_have_rows() -> None:
    # Bins of width 1/15: 0.85 and 0.82 in (12/15, 13/15], 1.0 in the last.
    top = np.array([0.85, 0.82, 1.0])

    found = reliability(np.array([0, 1, 0]), np.stack([top, 1 - top], axis=1))

    assert [(round(one["low"] * 15), one["rows"], one["accuracy"]) for one in found] == [
        (12, 2, 0.5),
        (14, 1, 1.0),
    ]
    assert found[0]["confidence"] == pytest.approx(0.835)


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([("one", "good"), ("two", "good")], "every row has the label 'good' in column 'stars'"),
        (
            [("one", "good"), ("two", "good"), ("three", "bad")],
            "the label 'bad' has fewer than 2 different texts",
        ),
        # The same text to a reader.
        ([("a", "x"), ("b", "x"), ("Same  text", "y"), ("same text", "y")], "the label 'y' has fewer than 2"),
        ([("a", "x"), ("b", "y"), ("c", "z")], "the 3 labels 'x', 'y', 'z' have fewer than 2"),
        (
            [(f"text {n}", f"label {n}") for n in range(1001)],
            "1,001 different values, so it looks like free text",
        ),
    ],
)
def test_data_that_cannot_be_learned_from(spec: RunSpec, pairs: list[tuple[str, str]], sentence: str) -> None:
    problems = TASK.check(examples(*pairs), spec)

    assert len(problems) == 1
    assert problems[0]["where"] == "columns.label"
    assert sentence in problems[0]["message"]


def test_focal_loss_and_label_smoothing_exclude_each_other(spec: RunSpec) -> None:
    good = examples(("one", "a"), ("two", "a"), ("three", "b"), ("four", "b"))
    both = spec.model_copy(update={"focal_gamma": 2.0, "label_smoothing": 0.1})
    (problem,) = TASK.check(good, both)
    assert (
        problem["where"] == "focal_gamma" and "can't be combined with label_smoothing" in problem["message"]
    )
    for one in ({"focal_gamma": 2.0}, {"label_smoothing": 0.1}):
        assert TASK.check(good, spec.model_copy(update=one)) == []


def test_the_confusion_matrix_of_many_classes_is_left_out() -> None:
    labels = [f"{number:03}" for number in range(101)]
    found = TASK.results(np.arange(101), np.eye(101), labels)
    assert "confusion" not in found and len(found["per_class"]) == 101
    assert "confusion" in TASK.results(np.arange(100), np.eye(100), labels[:100])


@pytest.mark.parametrize("classes", [2, 500])
def test_two_texts_a_class_are_enough(spec: RunSpec, classes: int) -> None:
    pairs: list[Any] = [(f"{n} {label}", f"label {label}") for label in range(classes) for n in range(2)]

    assert TASK.check(examples(*pairs), spec) == []
