import numpy as np
import pytest

from tests.worker.tiny import toy
from worker import baselines
from worker.baselines import frequent, majority, tfidf, tfidf_labels, tfidf_score

TEXTS, NAMES = toy(200)
TRUTH = np.array([name == "positive" for name in NAMES], dtype=np.int64)


def test_majority_gives_the_shares_of_the_training_rows() -> None:
    assert majority(np.array([0, 0, 0, 2]), 2, 3).tolist() == [[0.75, 0, 0.25], [0.75, 0, 0.25]]


def test_tfidf_learns_what_one_word_tells() -> None:
    found = tfidf(TEXTS[:150], TRUTH[:150], TEXTS[150:], 2)
    assert (found.argmax(1) == TRUTH[150:]).mean() > 0.95
    np.testing.assert_allclose(found.sum(1), 1)


def test_tfidf_is_deterministic() -> None:
    validation = (TEXTS[100:150], TRUTH[100:150])
    first = tfidf(TEXTS[:100], TRUTH[:100], TEXTS[150:], 2, validation=validation)
    np.random.seed(5)
    assert np.array_equal(first, tfidf(TEXTS[:100], TRUTH[:100], TEXTS[150:], 2, validation=validation))


def test_the_strength_is_chosen_on_the_validation_rows() -> None:
    strong = tfidf(TEXTS[:100], TRUTH[:100], TEXTS[150:], 2, validation=(TEXTS[100:150], TRUTH[100:150]))
    plain = tfidf(TEXTS[:100], TRUTH[:100], TEXTS[150:], 2)
    assert strong.max(1).mean() > plain.max(1).mean()  # clean data: less regularisation has the lower loss


def test_a_class_without_training_rows_has_probability_zero() -> None:
    found = tfidf(TEXTS, TRUTH * 2, TEXTS[:3], 4)
    assert found.shape == (3, 4)
    assert (found[:, [1, 3]] == 0).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["这部电影很好看", "我喜欢这个故事", "这部电影很难看", "我讨厌这个故事"],
        ["😀😀🎉", "🎉😀", "😡😡", "😡👎"],
        ["!!!", "!!", "??", "???"],
    ],
)
def test_texts_without_words_are_taken_by_characters(texts: list[str]) -> None:
    found = tfidf(texts, np.array([0, 0, 1, 1]), texts, 2)
    assert found.argmax(1).tolist() == [0, 0, 1, 1]


def test_as_many_classes_as_rows_are_no_warning() -> None:
    truth = np.arange(30)
    assert (tfidf(TEXTS[:30], truth, TEXTS[:30], 30).argmax(1) == truth).mean() > 0.3


def test_nothing_to_learn_from_gives_the_majority() -> None:
    one_class = np.zeros(4, dtype=np.int64)
    assert tfidf(TEXTS[:4], one_class, ["x"], 2).tolist() == [[1, 0]]
    assert tfidf([" ", "\t"], np.array([0, 1]), ["x"], 2).tolist() == [[0.5, 0.5]]
    assert tfidf(TEXTS, TRUTH, [], 2).shape == (0, 2)


def test_a_large_training_set_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "ROWS", 1000)
    texts, truth = TEXTS * 8, np.tile(TRUTH, 8)
    found = tfidf(texts, truth, TEXTS, 2, seed=1)
    assert np.array_equal(found, tfidf(texts, truth, TEXTS, 2, seed=1))
    assert (found.argmax(1) == TRUTH).mean() > 0.95


def test_pairs_are_told_apart_by_what_their_texts_share() -> None:
    """No word tells: the label is whether both texts have the same one."""
    words = [f"word{number}" for number in range(12)]
    generator = np.random.default_rng(0)
    first = generator.integers(0, 12, 400)
    second = np.where(generator.random(400) < 0.5, first, (first + 1 + generator.integers(0, 11, 400)) % 12)
    pairs = [(f"it is {words[one]}", f"so {words[other]}") for one, other in zip(first, second, strict=True)]
    same = (first == second).astype(np.int64)
    found = tfidf(pairs[:300], same[:300], pairs[300:], 2, validation=(pairs[250:300], same[250:300]))
    assert (found.argmax(1) == same[300:]).mean() > 0.9


def test_the_most_frequent_labels_are_those_of_more_than_half_else_one() -> None:
    truth = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0]], dtype=bool)
    assert frequent(truth).tolist() == [True, False, False]
    assert frequent(truth[:, 1:]).tolist() == [False, True]


def test_each_label_is_learned_for_itself() -> None:
    truth = np.stack([TRUTH == 1, TRUTH == 0, np.ones(200, dtype=bool), np.zeros(200, dtype=bool)], axis=1)
    validation, test = tfidf_labels(TEXTS[:120], truth[:120], TEXTS[120:160], truth[120:160], TEXTS[160:])
    assert validation.shape == (40, 4) and test.shape == (40, 4)
    assert ((test[:, :2] > 0.5) == truth[160:, :2]).mean() > 0.95
    assert (test[:, 2] == 1).all() and (test[:, 3] == 0).all()  # nothing to learn: always, never


def test_labels_of_empty_texts_get_their_shares() -> None:
    truth = np.array([[True, False], [True, True]])
    validation, test = tfidf_labels(["", ""], truth, ["x"], truth[:1], ["x", "y"])
    assert validation.tolist() == [[1.0, 0.5]] and test.tolist() == [[1.0, 0.5]] * 2


def test_scores_are_learned_and_empty_texts_get_the_mean() -> None:
    scores = np.where(TRUTH == 1, 80.0, 20.0)
    found = tfidf_score(TEXTS[:120], scores[:120], TEXTS[120:160], scores[120:160], TEXTS[160:])
    assert np.abs(found - scores[160:]).mean() < 10
    assert tfidf_score(["", ""], np.array([1.0, 4.0]), ["x"], np.array([1.0]), ["x"]).tolist() == [2.5]
