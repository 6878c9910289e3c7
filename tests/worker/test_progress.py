"""What the page shows of the loop: one point a step and series, time left with the evaluations counted."""

import pytest

from worker.loop import Evaluated, Halved, Started, Step, Stopped
from worker.progress import Progress
from worker.recorder import Recorder


@pytest.fixture
def recorder() -> Recorder:
    """A recorder that is not running: what it was told stays in its buffer. It never opens its database."""
    from app.core.db import Database

    return Recorder(Database("sqlite:///:memory:"), "a" * 12, 1)


def step(number: int, seconds: float = 0.5) -> Step:
    return Step(number, number / 10, 0.7, 1e-4, 1.5, 16, 200, seconds, 1000.0 + number)


def test_each_step_gives_one_point_of_each_training_series(recorder: Recorder) -> None:
    progress = Progress(recorder, evaluate_every=10)
    progress.started(Started(20, 2, 100, 100, "float32", "cpu"))
    progress.step(step(1))
    told = {point.series: (point.step, point.value, point.time) for point in recorder._pending.points}
    assert told == {
        "train/loss": (1, 0.7, 1001.0),
        "train/learning_rate": (1, 1e-4, 1001.0),
        "train/grad_norm": (1, 1.5, 1001.0),
        "train/examples_per_second": (1, 32.0, 1001.0),
    }


def test_the_time_left_counts_the_evaluations_to_come(recorder: Recorder) -> None:
    progress = Progress(recorder, evaluate_every=10)
    progress.started(Started(20, 2, 100, 100, "float32", "cpu"))
    for number in range(1, 11):
        progress.step(step(number))
    assert recorder._pending.progress["eta_seconds"] == pytest.approx(10 * 0.5)
    progress.evaluated(Evaluated(10, 1.0, {"loss": 0.6, "macro_f1": 0.8}, True, 3.0, 1010.0))
    progress.step(step(11))
    assert recorder._pending.progress["eta_seconds"] == pytest.approx(9 * 0.5 + 3.0)
    assert recorder._pending.progress["best_step"] == 10


def test_an_early_stop_is_told(recorder: Recorder) -> None:
    progress = Progress(recorder, evaluate_every=10)
    progress.stopped(Stopped(30, "early_stopping"))
    assert "Stopped early at step 30" in recorder._pending.logs[0][2]


def test_a_memory_that_was_too_small_is_told(recorder: Recorder) -> None:
    Progress(recorder, evaluate_every=10).halved(Halved(7, 32, 16))
    _, level, message = recorder._pending.logs[0]
    assert level == "warning"
    assert message == (
        "The memory was too small for 32 rows at a time; from step 7 on it is 16 at a time with the same effective batch. "
        "The run is no longer exactly repeatable."
    )
