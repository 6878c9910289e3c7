"""Labels that were added or taken away stand at the top, and no row is judged by a model that has seen its own labels."""

import numpy as np
import numpy.typing as npt
import pytest

from tests.worker.tiny import FILLER
from worker.wrong_label_sets import by_features, by_words, likely_wrong, rarest, together
from worker.wrong_labels import cross_fitted, dealt

WORDS = ("red", "green", "blue")


def planted(rows: int = 240) -> tuple[list[str], npt.NDArray[np.bool_], dict[int, int]]:
    """Texts, which of three labels each has (those whose word is in it) with 5 % of the rows wrong, and where: {row: label}."""
    generator = np.random.default_rng(5)
    truth = generator.random((rows, len(WORDS))) < 0.4
    texts = []
    for row in range(rows):
        filler = [FILLER[(row * 7 + at * 5) % len(FILLER)] for at in range(6)]
        texts.append(
            " ".join([*filler, *(word for word, has in zip(WORDS, truth[row], strict=True) if has), str(row)])
        )
    wrong = {int(row): int(row) % 3 for row in generator.choice(rows, rows // 20, replace=False)}
    for row, label in wrong.items():
        truth[row, label] = not truth[row, label]
    return texts, truth, wrong


def test_planted_labels_stand_at_the_top_be_they_too_many_or_missing() -> None:
    texts, truth, wrong = planted()
    assert {bool(truth[row, label]) for row, label in wrong.items()} == {True, False}
    found = likely_wrong(cross_fitted(by_words(texts, truth), dealt(texts, rarest(truth)), 3), truth)
    first = dict(zip(found.rows[: len(wrong)].tolist(), found.labels[: len(wrong)].tolist(), strict=True))
    assert len(first.items() & wrong.items()) >= len(wrong) - 1
    assert 0.5 * len(wrong) <= found.likely <= 2 * len(wrong)
    assert len(set(found.rows.tolist())) == len(found.rows)


@pytest.mark.parametrize("way", ["words", "features"])
def test_a_rows_own_labels_never_enter_its_own_probabilities(way: str) -> None:
    texts, truth, _ = planted(90)
    fold_of = dealt(texts, rarest(truth))
    features = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)

    def judged(some: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        judge = by_words(texts, some) if way == "words" else by_features(features, some)
        return cross_fitted(judge, fold_of, 3)

    turned = truth.copy()
    turned[7] = ~turned[7]
    before, after = judged(truth), judged(turned)
    np.testing.assert_allclose(after[fold_of == fold_of[7]], before[fold_of == fold_of[7]])
    assert not np.allclose(after, before)


def test_a_label_that_all_or_no_rows_have_is_doubted_in_none() -> None:
    truth = np.zeros((30, 2), np.bool_)
    truth[:, 1] = True
    found = likely_wrong(cross_fitted(by_words(["a b"] * 30, truth), np.arange(30) % 5, 2), truth)
    assert len(found.rows) == 0 and found.likely == 0


def test_opinions_are_joined_and_rows_without_a_label_have_a_stratum_of_their_own() -> None:
    joined = together([np.array([[0.2, 1.0]]), np.array([[0.8, 0.5]])])
    assert joined[0, 0] == pytest.approx(0.5) and joined[0, 1] > 0.99
    flags = np.array([[True, True], [True, False], [False, False]])
    assert rarest(flags).tolist() == [1, 0, 2]
