"""Wrong labels that were planted stand at the top, and no row is judged by a model that has seen its own label."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.worker.tiny import toy
from worker.wrong_labels import FOLDS, by_features, by_words, cross_fitted, dealt, likely_wrong, together


def planted(rows: int = 200) -> tuple[list[str], npt.NDArray[np.int64], set[int]]:
    """Texts, their labels with 5 % of them wrong, and where."""
    texts, names = toy(rows)
    texts = [f"{text} {row}" for row, text in enumerate(texts)]
    labels = np.array([name == "positive" for name in names], dtype=np.int64)
    wrong = np.random.default_rng(3).choice(rows, rows // 20, replace=False)
    labels[wrong] = 1 - labels[wrong]
    return texts, labels, set(wrong.tolist())


def test_planted_labels_stand_at_the_top_with_the_right_ones_suggested() -> None:
    texts, labels, wrong = planted()
    fold_of = dealt(texts, labels)
    found = likely_wrong(cross_fitted(by_words(texts, labels, 2), fold_of, 2), labels)
    assert set(found.rows[: len(wrong)].tolist()) == wrong
    assert 0.5 * len(wrong) <= found.likely <= 1.5 * len(wrong)
    for row, suggested in zip(found.rows, found.suggested, strict=True):
        assert suggested != labels[row]


@pytest.mark.parametrize("way", ["words", "features"])
def test_a_rows_own_label_never_enters_its_own_probability(way: str) -> None:
    texts, labels, _ = planted(80)
    fold_of = dealt(texts, labels)
    generator = np.random.default_rng(0)
    features = generator.normal(size=(80, 6)).astype(np.float32) + labels[:, None]

    def judged(some: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        judge = by_words(texts, some, 2) if way == "words" else by_features(features, some, 2)
        return cross_fitted(judge, fold_of, 2)

    before = judged(labels)
    for row in (0, 17, 79):
        other = labels.copy()
        other[row] = 1 - other[row]
        after = judged(other)
        np.testing.assert_array_equal(after[row], before[row])
        same_fold = fold_of == fold_of[row]
        np.testing.assert_array_equal(after[same_fold], before[same_fold])
        assert (
            np.abs(after[~same_fold] - before[~same_fold]).max() > 0
        )  # whereas the others have learned from it


def test_no_model_is_given_a_row_to_judge_that_it_learned_from() -> None:
    labels = np.tile([0, 1], 30)
    fold_of = dealt([str(row) for row in range(60)], labels)
    seen: list[set[int]] = []

    def judge(learn: Any, asked: Any) -> Any:
        assert not set(learn.tolist()) & set(asked.tolist())
        seen.append(set(asked.tolist()))
        return np.full((len(asked), 2), 0.5)

    shares: list[float] = []
    cross_fitted(judge, fold_of, 2, shares.append)
    assert set.union(*seen) == set(range(60)) and sum(map(len, seen)) == 60
    assert shares == [pytest.approx((at + 1) / FOLDS) for at in range(FOLDS)]


def test_equal_texts_share_a_fold_and_each_fold_has_its_share_of_every_label() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    groups = [f"text {row // 2}" for row in range(100)]
    fold_of = dealt(groups, labels)
    assert all(fold_of[row] == fold_of[row + 1] for row in range(0, 100, 2))
    assert np.bincount(fold_of[labels == 0]).tolist() == [18] * FOLDS
    assert np.bincount(fold_of[labels == 1]).tolist() == [2] * FOLDS
    np.testing.assert_array_equal(fold_of, dealt(groups, labels))


def test_a_class_that_no_other_fold_has_is_no_reason_to_fail() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2])
    texts = [f"{'good' if label else 'bad'} film {row}" for row, label in enumerate(labels)]
    fold_of = dealt(texts, labels)
    probabilities = cross_fitted(by_words(texts, labels, 3), fold_of, 3)
    assert probabilities[40, 2] == 0.0
    assert 40 in likely_wrong(probabilities, labels).rows


def test_opinions_count_together_and_a_doubt_is_heard() -> None:
    sure, doubtful = np.array([[0.99, 0.01]]), np.array([[0.3, 0.7]])
    joined = together([sure, doubtful])
    assert joined.sum() == pytest.approx(1.0) and 0.5 < joined[0, 0] < 0.99
