import pytest

from worker.schedule import learning_rate, warmup_steps


def test_the_rate_rises_to_the_peak_and_falls_in_straight_lines() -> None:
    rates = [learning_rate(step, 10, 4, 1.0) for step in range(1, 11)]
    expected = [0.2, 0.4, 0.6, 0.8, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert rates == pytest.approx(expected)


def test_without_warmup_the_first_step_has_the_peak() -> None:
    assert [learning_rate(step, 4, 0, 2.0) for step in range(1, 5)] == pytest.approx([2, 1.5, 1, 0.5])


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (3, 3), (200, 20)])
def test_no_step_is_spent_on_a_rate_of_zero_or_above_the_peak(steps: int, warmup: int) -> None:
    assert all(0 < learning_rate(step, steps, warmup, 1.0) <= 1 for step in range(1, steps + 1))


def test_warmup_is_rounded_up() -> None:
    assert [warmup_steps(188, 0.1), warmup_steps(5, 0.1), warmup_steps(5, 0.0)] == [19, 1, 0]
