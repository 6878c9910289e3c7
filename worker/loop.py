"""The training loop: a generator of events. It reads no file, writes none and knows no store.

One step reads top to bottom, as in karpathy/nanoGPT's train.py: rows → micro-batches → loss, divided by the
weight of the whole step → gradients → check → clip → update → event. Whoever iterates decides what
becomes of the events and may stop at any time with `.close()`.

    Started, then for each optimiser step: Step, before it where memory ran out: Halved, after it where due: Evaluated;
    Stopped at the end
"""

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_

from app.core.clock import Clock
from app.core.errors import Invalid
from worker.batches import PASS, epoch_batches, micro_batches
from worker.memory import Trial, halved
from worker.optim import adamw
from worker.ranks import ALONE, Ranks
from worker.schedule import learning_rate, warmup_steps
from worker.seeds import reseed
from worker.tasks.base import Objective
from worker.transfer.plan import Plan


@dataclass(frozen=True)
class Recipe:
    """How to train. An optimiser step learns from `batch_size` times `accumulation` rows, at most `batch_size` at a time."""

    epochs: int
    batch_size: int
    accumulation: int
    learning_rate: float  # the peak
    warmup_ratio: float  # share of all steps
    weight_decay: float  # the plan's groups carry it; here for the record
    max_grad_norm: float
    eval_steps: int | None  # None: at the end of each epoch
    patience: int | None  # evaluations without a better score before the run stops; None: never
    seed: int
    micro_batch: int | None = None  # rows of the longest at a time, more of shorter ones; None: batch_size

    def at_a_time(self, world: int) -> int:
        """Rows that one of `world` processes takes at a time at most: none is to be idle."""
        return min(self.batch_size, math.ceil(self.batch_size * self.accumulation / world))


@dataclass
class Place:
    """Where a training stands. Kept between two events, it is where another process goes on (worker/checkpoints.py)."""

    step: int = 0
    best: tuple[float, float] | None = None
    stale: int = 0  # evaluations since the best one
    micro_batch: int | None = None
    moments: Mapping[str, Mapping[str, Tensor]] | None = (
        None  # the optimiser's state by parameter, to begin with
    )
    optimizer: torch.optim.Optimizer | None = None  # while it trains


@dataclass(frozen=True)
class Started:
    steps: int  # optimiser steps of the whole run
    warmup: int  # of these
    trainable: int  # numbers that learn
    parameters: int  # numbers of the model
    dtype: str  # of the matrix products: float32, or bfloat16 (autocast over float32 weights)
    device: str


@dataclass(frozen=True)
class Halved:
    """The memory was too small: this step is done again in smaller parts, and so are all that follow."""

    step: int
    too_many: int  # rows of the longest at a time
    micro_batch: int  # the same from now on


@dataclass(frozen=True)
class Step:
    step: int  # from 1
    epoch: float  # epochs done, counting this step
    loss: float  # this step's own: the mean over its examples
    learning_rate: float
    grad_norm: float  # before clipping
    examples: int
    tokens: int  # without padding
    seconds: float
    time: float  # Unix seconds at the end of the update
    judged: bool = False  # an evaluation of this step follows


@dataclass(frozen=True)
class Evaluated:
    step: int
    epoch: float
    scores: dict[str, float]
    best: bool  # True: save the weights now, before asking for the next event
    seconds: float
    time: float


@dataclass(frozen=True)
class Stopped:
    step: int
    reason: Literal["finished", "early_stopping"]


Event = Started | Halved | Step | Evaluated | Stopped


class NonFiniteLoss(Invalid):
    """The loss or its gradient is infinite or not a number; the weights are those of the step before."""

    kind = "diverged"

    def __init__(self, step: int, rate: float) -> None:
        said = f"The loss stopped being a finite number at step {step}: the training diverged. "
        lower = float(f"{rate / 3:.1g}")
        advice = f"Try a lower learning rate, for example {lower:g}."
        self.lower: float | None = lower  # a learning rate to try
        if step == 1:  # nothing has been learned yet, so the rate is not to blame
            self.lower = None
            said = "The loss is no finite number at the very first step: the model overflows on these texts. "
            advice = "Choose another model, or a shorter maximum length."
        super().__init__(said + advice)
        self.step = step


def train(
    model: nn.Module,
    objective: Objective,
    recipe: Recipe,
    plan: Plan,
    evaluate: Callable[[nn.Module], dict[str, float]] | None,
    primary: str,
    device: torch.device,
    clock: Clock = time.time,
    *,
    lower: bool = False,
    ranks: Ranks = ALONE,
    place: Place | None = None,
) -> Generator[Event, None, None]:
    """Trains `model` in place on the rows of `objective`.

    `evaluate(model)` gives scores with "loss" and `primary` (higher is better, or with `lower` lower; ties by lower loss); it runs at
    the end of each epoch, or every `eval_steps` steps and after the last. None: there is nothing to judge on.
    The same arguments give the same bits on a CPU with the same number of threads, whatever ran before, unless memory ran out.
    `place`: where to go on, the weights being those of that time; it is kept up to date. It may be saved at each Step that is
    not `judged` and at each Evaluated, and whoever goes on from there gets the same bits as if nothing had happened.
    Each of `ranks` calls this with the same arguments and gets the same events; only the first calls `evaluate`.
    Raises NonFiniteLoss before the update that would spoil the weights, and what says that the memory is too small for one row.

    On a GPU the host waits once a step (for loss and norm together). Untested on a GPU.
    """
    model.to(device)
    ranks.align(model)
    place = place or Place()
    optimizer = place.optimizer = adamw(plan.groups, device, place.moments)
    parameters = [parameter for group in plan.groups for parameter in group.parameters]
    precision, dtype = _precision(device)
    lengths = objective.lengths

    rows_a_step = recipe.batch_size * recipe.accumulation
    at_a_time = recipe.at_a_time(ranks.world)
    # The recipe may know of a lack of memory that came after the place was kept.
    place.micro_batch = most = min(place.micro_batch or at_a_time, recipe.micro_batch or at_a_time, at_a_time)
    longest = int(lengths.max(initial=1))
    # Parts of like length cost less on a CPU, though each is a pass of its own; a GPU wants few and large ones.
    cost = PASS if device.type == "cpu" and not plan.head_only else None
    steps_an_epoch = math.ceil(len(lengths) / rows_a_step)
    steps = recipe.epochs * steps_an_epoch
    warmup = warmup_steps(steps, recipe.warmup_ratio)
    total = sum(parameter.numel() for parameter in model.parameters())
    yield Started(steps, warmup, plan.trainable, total, dtype, str(device))

    step, stage = place.step, -1
    enough = recipe.patience is not None and place.stale >= recipe.patience
    for epoch in range(step // steps_an_epoch, 0 if enough else recipe.epochs):
        batches = epoch_batches(lengths, rows_a_step, recipe.seed, epoch, alike=not objective.by_tokens)
        for rows in batches[step % steps_an_epoch :]:
            began = time.perf_counter()
            behind = step / steps
            if plan.stage(behind) != stage:
                stage = plan.stage(behind)
                ranks.scatter()
                plan.enter(model, behind)
            step += 1
            rate = learning_rate(step, steps, warmup, recipe.learning_rate)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]

            # Each micro-batch's loss is divided by the weight of the whole step, so that accumulation equals
            # one big batch, uneven parts included (after torchtitan's train_step).
            weight = objective.weight(rows)
            while True:  # until it fits the memory
                loss = torch.zeros((), device=device)
                with Trial(most, ranks) as trial:
                    parts = micro_batches(rows, lengths, most * longest, at_a_time, cost)
                    for part, micro, whole in ranks.own(parts, weight):
                        batch = objective.batch(micro, device)
                        reseed(recipe.seed, f"dropout/{part}", step)
                        with precision():
                            piece = objective.loss(model, batch).div(whole)
                        piece.backward()  # type: ignore[no-untyped-call]
                        loss += piece.detach()
                if not trial.full:
                    break
                optimizer.zero_grad(set_to_none=True)
                too_many, most = most, halved(most)
                place.micro_batch = most
                yield Halved(step, too_many, most)
            ranks.add(parameters, loss)

            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            loss_now, norm = torch.stack((loss, ranks.norm(gradients))).tolist()  # the step's only wait
            if not math.isfinite(loss_now) or not math.isfinite(norm):
                raise NonFiniteLoss(step, recipe.learning_rate)
            if norm > recipe.max_grad_norm:
                for alike in plan.groups:
                    clip_grads_with_norm_(alike.parameters, recipe.max_grad_norm, torch.tensor(norm))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

            place.step, done = step, step / steps_an_epoch
            tokens = int(lengths[rows].sum())
            seconds = time.perf_counter() - began
            judged = evaluate is not None and _due(step, steps, recipe.eval_steps or steps_an_epoch)
            yield Step(step, done, loss_now, rate, norm, len(rows), tokens, seconds, clock(), judged)

            if evaluate is None or not judged:
                continue
            began = time.perf_counter()
            ranks.gather()  # until the next step: who gets the event may look at the weights, or save them
            scores = ranks.share(partial(evaluate, model))
            stage = -1
            score = _rank(scores, primary, lower)
            better = place.best is None or score > place.best
            place.best, place.stale = (score, 0) if better else (place.best, place.stale + 1)
            yield Evaluated(step, done, scores, better, time.perf_counter() - began, clock())
            if recipe.patience is not None and place.stale >= recipe.patience and step < steps:
                yield Stopped(step, "early_stopping")
                return
    yield Stopped(step, "early_stopping" if step < steps else "finished")


def _due(step: int, steps: int, every: int) -> bool:
    return step % every == 0 or step == steps


def _rank(scores: dict[str, float], primary: str, lower: bool) -> tuple[float, float]:
    """The higher the better; what is not a number is the worst."""
    score, loss = -scores[primary] if lower else scores[primary], scores["loss"]
    return (-math.inf if math.isnan(score) else score, -math.inf if math.isnan(loss) else -loss)


def _precision(device: torch.device) -> tuple[Callable[[], AbstractContextManager[object]], str]:
    """bfloat16 autocast on a GPU that has it (the weights stay float32); float32 elsewhere, always on a CPU."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return lambda: torch.autocast("cuda", dtype=torch.bfloat16), "bfloat16"
    return nullcontext, "float32"
