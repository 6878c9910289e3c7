"""Numbers that are far from what is predicted: their order, what is suggested, and how many there are."""

import numpy as np

from worker import wrong_scores
from worker.label_kinds import Number


def drawn(rows: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and the numbers, which at the upper end are missed four times as far as at the lower one."""
    generator = np.random.default_rng(1)
    predicted = generator.uniform(0, 10, rows)
    return predicted, predicted + generator.normal(size=rows) * np.where(predicted > 5, 0.8, 0.2)


def test_a_distance_counts_by_what_is_usual_among_like_predictions() -> None:
    predicted, scores = drawn()
    low, high = int(np.abs(predicted - 2).argmin()), int(np.abs(predicted - 8).argmin())
    scores[low], scores[high] = predicted[low] + 1.6, predicted[high] + 1.6
    found = wrong_scores.likely_wrong(predicted, scores)
    assert 7 < found.off[low] < 10 and 1.7 < found.off[high] < 2.4
    assert found.rows[0] == low and high in found.rows.tolist()
    assert found.off[found.rows].min() >= wrong_scores.LEAST_OFF


def test_numbers_of_other_rows_stand_first_and_are_counted_about() -> None:
    predicted, scores = drawn()
    assert wrong_scores.likely_wrong(predicted, scores).likely < 15
    wrong = np.arange(0, 1000, 20)
    scores[wrong] = (scores[wrong] + 5) % 10
    found = wrong_scores.likely_wrong(predicted, scores)
    assert len(set(found.rows[:50].tolist()) & set(wrong.tolist())) >= 48
    assert 40 < found.likely < 80


def test_a_slip_far_outside_of_all_others_stands_first() -> None:
    predicted, scores = drawn()
    scores[3] = 45.0
    assert wrong_scores.likely_wrong(predicted, scores).rows[0] == 3


def test_constant_and_exact_numbers_raise_no_doubt() -> None:
    same = np.full(200, 3.0)
    assert len(wrong_scores.likely_wrong(same, same).rows) == 0
    scores = np.tile([1.0, 2.0], 100)
    assert len(wrong_scores.likely_wrong(scores.copy(), scores).rows) == 0


def test_a_prediction_is_weighed_by_what_it_is_worth() -> None:
    predicted, scores = drawn()
    noise = np.random.default_rng(2).normal(size=(1000, 1))
    joined = wrong_scores.together([predicted[:, None], noise], scores)
    assert np.corrcoef(joined[:, 0], predicted)[0, 1] > 0.999


def test_what_is_suggested_is_written_as_the_data_is() -> None:
    grades = np.tile([1.0, 1.5, 2.0], 100)
    assert wrong_scores.rounded(1.62, grades, 0.3) == 1.5
    fine = np.round(np.random.default_rng(0).uniform(0, 5, 1000), 4)
    assert wrong_scores.rounded(1.23456, fine, 0.5) == 1.23
    assert wrong_scores.rounded(9.0, fine, 0.5) == round(fine.max(), 2)
    whole = np.arange(1000.0)
    assert wrong_scores.rounded(41.7, whole, 0.5) == 42
    assert str(wrong_scores.rounded(-0.001, fine - 2, 0.5)) == "0.0"


def test_a_doubt_holds_the_number_as_it_is_written() -> None:
    predicted, scores = drawn(400)
    scores = np.round(scores, 1)
    scores[7] = 45.0
    written = [str(one).replace(".", ",") for one in scores]
    kind = Number(scores.tolist(), written, commas=True)
    doubts, likely = kind.doubts(predicted[:, None], 5)
    assert likely >= 1 and len(doubts) <= 5
    first = doubts[0]
    assert (first.row, first.label, first.p_label, first.p_suggested) == (7, "45,0", None, None)
    assert abs(float(first.suggested.replace(",", ".")) - predicted[7]) < 0.1 and first.off and first.off > 20
