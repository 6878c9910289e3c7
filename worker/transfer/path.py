"""The optimum of a linear layer along a path of penalties, of which the one that validates best is kept."""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from app.core.clock import Clock
from worker.loop import Evaluated, Event, NonFiniteLoss, Step, Stopped
from worker.losses import SequenceLoss
from worker.tasks.base import HeadTask, Part
from worker.transfer.pooling import Floats, of_texts
from worker.transfer.solver import STRENGTHS, Fit, Layer

MOST = 400  # iterations in all; strengths that are then left are not tried
ITERATIONS = 20  # about as many until the optimum for one strength
WORSE = 2  # strengths in a row whose validation loss is above the least, and the weaker ones are not tried


@dataclass(frozen=True)
class Found:
    """`layer`: the best of the path. `exhausted`: whether it has used up its iterations before its end."""

    layer: Layer
    exhausted: bool


@dataclass(frozen=True)
class Judge:
    """How a layer is judged: by its scores on `part`, whose features it reads."""

    task: HeadTask
    features: Floats
    part: Part
    primary: str
    lower: bool

    def scores(self, layer: Layer) -> dict[str, float]:
        return self.task.judged(of_texts(layer.logits(self.features), self.part), self.part)

    def rank(self, scores: dict[str, float]) -> tuple[float, float]:
        """The higher the better; what is not a number is the worst."""
        score, loss = scores[self.primary] * (-1 if self.lower else 1), -scores["loss"]
        return (-math.inf if math.isnan(score) else score, -math.inf if math.isnan(loss) else loss)


def along(
    fit: Fit, judge: Judge, found: Callable[[Layer], None], clock: Clock = time.time
) -> Generator[Event, None, Found]:
    """The path of strengths: the events of the loop after Started; returns the layer with the best score on validation.

    `found(layer)` before each Evaluated, whose `best` then is about a model that has this layer.
    """
    step, stale, rows = 0, 0, sum(len(truth) for _, truth, _ in fit.pieces)
    best: tuple[tuple[float, float], Layer] | None = None
    least = math.inf
    for strength in STRENGTHS:
        if stale >= WORSE or step >= MOST:
            break
        began = time.perf_counter()
        for iteration in fit.solve(strength):
            step += 1
            seconds, began = time.perf_counter() - began, time.perf_counter()
            # Each iteration sees all rows, and has no learning rate.
            yield Step(step, step, iteration.loss, math.nan, iteration.gradient, rows, 0, seconds, clock())
            if step >= MOST:
                break
        layer = fit.layer()
        scores = judge.scores(layer)
        better = best is None or judge.rank(scores) > best[0]
        stale = 0 if scores["loss"] < least else stale + 1
        least = min(least, scores["loss"])
        if better:
            best = judge.rank(scores), layer
        found(layer)
        yield Evaluated(step, step, scores, better, time.perf_counter() - began, clock())
    if step == 0 or best is None:
        raise NonFiniteLoss(1, 1.0)
    found(best[1])
    yield Stopped(step, "finished")
    return Found(best[1], exhausted=step >= MOST and stale < WORSE)


def fit_of(features: Floats, objective: SequenceLoss, layer: nn.Linear, *, alike: bool = False) -> Fit:
    """The problem of the task's own loss for a layer like `layer`. Raises NonFiniteLoss for features that are no numbers."""
    weight = objective.weight(np.arange(len(objective.lengths)))
    truth, shares = torch.from_numpy(objective.truth), objective.shares
    try:
        return Fit(
            features,
            objective.each,
            truth,
            weight,
            layer.out_features,
            shares=shares,
            intercept=layer.bias is not None,
            alike=alike,
        )
    except ValueError as error:
        raise NonFiniteLoss(1, 1.0) from error


def put(found: Layer, layer: nn.Linear) -> None:
    with torch.no_grad():
        layer.weight.copy_(found.weight)
        if found.bias is not None:
            layer.bias.copy_(found.bias)


def finished(path: Generator[Event, None, Found], seen: Callable[[Event], None] = lambda _: None) -> Found:
    """Goes along it to its end; `seen` gets each event."""
    while True:
        try:
            seen(next(path))
        except StopIteration as end:
            found: Found = end.value
            return found
