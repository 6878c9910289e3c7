"""A training that went nowhere is said."""

import numpy as np

from worker.advice import stalled

TRUTH = np.array([0, 1] * 50)


def test_a_loss_of_guessing_is_said_with_half_the_learning_rate() -> None:
    sentence = stalled(0.69, TRUTH, 1e-4)
    assert sentence is not None
    assert "(0.693)" in sentence
    assert "5e-05" in sentence


def test_a_loss_that_fell_is_no_reason_for_advice() -> None:
    assert stalled(0.5, TRUTH, 1e-4) is None


def test_a_rare_class_lowers_what_guessing_gives() -> None:
    assert stalled(0.3, TRUTH, 1e-4) is None
    assert stalled(0.3, np.array([0] * 95 + [1] * 10), 1e-4) is not None
