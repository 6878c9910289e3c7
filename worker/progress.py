"""What the loop's events look like from outside: points of the curves, progress, time left, log lines."""

import math

from app.core.events import INEXACT, PointValue
from worker.loop import Evaluated, Halved, Started, Step, Stopped
from worker.memory import gpu_reserved
from worker.recorder import Recorder


class Progress:
    """Turns the loop's events into points, progress and log lines."""

    def __init__(self, recorder: Recorder, evaluate_every: int) -> None:
        """`evaluate_every`: optimiser steps between two evaluations, for the time left."""
        self._recorder = recorder
        self._evaluate_every = evaluate_every
        self._steps = 0
        self._evaluation_seconds = 0.0
        self._seconds_a_step = 0.0
        self._speed = 0.0
        self._first = True
        self.loss: float | None = None  # of the last steps, smoothed
        self.epoch = 0.0

    def started(self, event: Started) -> None:
        self._steps = event.steps
        self._recorder.progress(steps=event.steps)
        self._recorder.log(
            "info",
            f"{_count(event.trainable)} of {_count(event.parameters)} parameters learn, "
            f"{event.steps} steps ({event.warmup} of warm-up), {event.dtype} on {event.device}.",
        )

    def halved(self, event: Halved) -> None:
        self._recorder.log(
            "warning",
            f"The memory was too small for {event.too_many} rows at a time; from step {event.step} on it is {event.micro_batch} at a time "
            f"with the same effective batch. {INEXACT}.",
        )

    def step(self, event: Step) -> None:
        speed = event.examples / max(event.seconds, 1e-9)
        mix = 0.1 if self._seconds_a_step else 1.0
        self._seconds_a_step += mix * (event.seconds - self._seconds_a_step)
        self._speed += mix * (speed - self._speed)
        self.epoch = event.epoch
        self.loss = event.loss if self.loss is None else self.loss + 0.1 * (event.loss - self.loss)
        values = {
            "train/loss": event.loss,
            "train/learning_rate": event.learning_rate,
            "train/grad_norm": event.grad_norm,
            "train/examples_per_second": speed,
        }
        self._recorder.points(
            *(
                PointValue(series, event.step, value, event.time)
                for series, value in values.items()
                if not math.isnan(value)
            )
        )
        self._recorder.progress(
            step=event.step,
            epoch=event.epoch,
            examples_per_second=self._speed,
            eta_seconds=self._seconds_left(event.step),
        )
        if self._first:
            self._first = False
            self._gpu_memory(event.step, event.time)
        if event.step == 1:
            self._recorder.flush_soon()

    def _gpu_memory(self, step: int, time: float) -> None:
        """For `/metrics`: now and then, since it hardly changes."""
        if (reserved := gpu_reserved()) is not None:
            self._recorder.points(PointValue("train/gpu_memory_bytes", step, float(reserved), time))

    def _seconds_left(self, step: int) -> float:
        """Of the training: the steps that remain, and the evaluations after them."""
        left = self._steps - step
        return left * self._seconds_a_step + -(-left // self._evaluate_every) * self._evaluation_seconds

    def evaluated(self, event: Evaluated) -> None:
        self._evaluation_seconds = event.seconds
        self._gpu_memory(event.step, event.time)
        self._recorder.points(
            *(
                PointValue(f"validation/{name}", event.step, value, event.time)
                for name, value in event.scores.items()
            )
        )
        if event.best:
            self._recorder.progress(best_step=event.step)
        scores = ", ".join(f"{name} {value:.4f}" for name, value in event.scores.items())
        best = " (best so far)" if event.best else ""
        self._recorder.log("info", f"Step {event.step}, epoch {event.epoch:.2f}: validation {scores}{best}")

    def stopped(self, event: Stopped) -> None:
        if event.reason == "early_stopping":
            self._recorder.log("info", f"Stopped early at step {event.step}: no improvement any more.")


def _count(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 100_000 else f"{number:,}"
