"""A training that went nowhere is said."""

import numpy as np
import pytest

from worker.advice import entropy, stalled

EVEN = entropy(np.array([0.5, 0.5]))
GUESS = "guessing by frequency"


def test_the_entropy_of_the_shares_is_what_guessing_by_them_loses() -> None:
    assert pytest.approx(np.log(2)) == EVEN
    assert entropy(np.array([1.0, 0.0])) == 0


def test_a_loss_of_guessing_is_said_with_half_the_learning_rate() -> None:
    sentence = stalled(0.69, EVEN, GUESS, 1e-4)
    assert sentence is not None
    assert "about what guessing by frequency gives (0.693)" in sentence
    assert "5e-05" in sentence


def test_a_loss_that_fell_is_no_reason_for_advice() -> None:
    assert stalled(0.5, EVEN, GUESS, 1e-4) is None


def test_a_rare_class_lowers_what_guessing_gives() -> None:
    rare = entropy(np.array([0.95, 0.05]))
    assert stalled(0.15, rare, GUESS, 1e-4) is None
    assert stalled(0.3, rare, GUESS, 1e-4) is not None


def test_a_loss_far_above_guessing_is_not_called_about_the_same() -> None:
    sentence = stalled(0.693, 0.266, "guessing by frequency", 1e-4) or ""

    assert "above what guessing by frequency gives (0.266)" in sentence
    assert "half the learning rate" not in sentence
