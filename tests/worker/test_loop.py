"""The loop against torch and transformers, on models small enough to train within a test."""

import dataclasses
import math
import random
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from app.core.strategies import Full, Head, Strategy
from tests.worker.conftest import Case
from worker import evaluate
from worker.backbone import pad_id
from worker.batches import collate, epoch_batches
from worker.loop import Evaluated, Event, Halved, NonFiniteLoss, Place, Recipe, Started, Step, Stopped, train
from worker.losses import CrossEntropy
from worker.optim import undecayed
from worker.schedule import learning_rate
from worker.transfer import make_plan

CPU = torch.device("cpu")
RECIPE = Recipe(
    epochs=2,
    batch_size=8,
    accumulation=1,
    learning_rate=1e-3,
    warmup_ratio=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    eval_steps=None,
    patience=None,
    seed=1,
)
Judge = Callable[[nn.Module], dict[str, float]]


def recipe(**changes: Any) -> Recipe:
    return dataclasses.replace(RECIPE, **changes)


def run(
    case: Case,
    used: Recipe,
    judge: Judge | None = None,
    weights: tuple[float, ...] | None = None,
    smoothing: float = 0.0,
) -> list[Event]:
    return list(begin(case, used, judge, weights, smoothing))


def begin(
    case: Case,
    used: Recipe,
    judge: Judge | None = None,
    weights: tuple[float, ...] | None = None,
    smoothing: float = 0.0,
) -> Generator[Event, None, None]:
    plan = make_plan(case.model, Full(), used.weight_decay)
    objective = CrossEntropy(case.data, case.truth, pad_id(case.model), weights, smoothing)
    return train(case.model, objective, used, plan, judge, "accuracy", CPU, clock=lambda: 1000.0)


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Step)]


def given(*scores: float, loss: float = 1.0) -> Judge:
    """A judge that gives these scores one after the other."""
    left = list(scores)
    return lambda model: {"accuracy": left.pop(0), "loss": loss}


def evaluations(events: list[Event]) -> list[Evaluated]:
    return [event for event in events if isinstance(event, Evaluated)]


@pytest.mark.parametrize("family", ["bert-still", "gpt2-still", "llama"])
def test_losses_and_weights_equal_a_plain_torch_loop_and_transformers_own_loss(
    case: Callable[..., Case], family: str
) -> None:
    ours, plain = case(family), case(family)
    found = losses(run(ours, RECIPE))

    no_decay = undecayed(plain.model)
    named = list(plain.model.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for name, p in named if name not in no_decay], "weight_decay": 0.01},
            {"params": [p for name, p in named if name in no_decay], "weight_decay": 0.0},
        ]
    )
    expected: list[float] = []
    plain.model.train()
    for epoch in range(2):
        for rows in epoch_batches(plain.data.lengths, 8, 1, epoch):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(len(expected) + 1, 10, 1, 1e-3)
            output = plain.model(**collate(plain.data, rows, plain.tokenizer.pad_token_id, CPU, plain.truth))
            optimizer.zero_grad()
            output.loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.model.parameters(), 1.0)
            optimizer.step()
            expected.append(output.loss.item())
    assert len(found) == 10
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for name, tensor in plain.weights().items():
        torch.testing.assert_close(ours.weights()[name], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("weights", [None, (0.3, 1.7)])
def test_accumulation_equals_one_big_batch(
    case: Callable[..., Case], weights: tuple[float, ...] | None
) -> None:
    one, many = case(rows=37), case(rows=37)  # 37: the last step and its last part are short
    big = run(one, recipe(batch_size=16), weights=weights)
    small = run(many, recipe(batch_size=4, accumulation=4), weights=weights)
    np.testing.assert_allclose(losses(big), losses(small), atol=1e-6)
    for first, second in zip(big, small, strict=True):
        if isinstance(first, Step) and isinstance(second, Step):
            assert first.grad_norm == pytest.approx(second.grad_norm, abs=1e-5)
            assert (first.examples, first.tokens) == (second.examples, second.tokens)


@pytest.mark.parametrize(("weights", "smoothing"), [((0.3, 1.7), 0.0), (None, 0.1), ((0.3, 1.7), 0.2)])
def test_class_weights_and_label_smoothing_are_torchs(
    case: Callable[..., Case], weights: tuple[float, ...] | None, smoothing: float
) -> None:
    ours, plain = case(), case()
    first = losses(run(ours, RECIPE, weights=weights, smoothing=smoothing))[0]
    rows = epoch_batches(plain.data.lengths, 8, 1, 0)[0]
    batch = collate(plain.data, rows, 0, CPU, plain.truth)
    truth = batch.pop("labels")
    with torch.no_grad():
        logits = plain.model(**batch).logits
    weight = None if weights is None else torch.tensor(weights)
    assert first == pytest.approx(
        cross_entropy(logits, truth, weight=weight, label_smoothing=smoothing).item(), abs=1e-6
    )


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before(case: Callable[..., Case]) -> None:
    first, second, other = case("bert"), case("bert"), case("bert", seed=2)
    run(first, RECIPE)
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
    torch.rand(1000)
    run(second, RECIPE)
    run(other, recipe(seed=2))
    assert all(torch.equal(tensor, second.weights()[name]) for name, tensor in first.weights().items())
    assert not all(torch.equal(tensor, other.weights()[name]) for name, tensor in first.weights().items())


def test_a_judge_that_draws_and_switches_modes_changes_nothing(case: Callable[..., Case]) -> None:
    first, second = case("bert"), case("bert")

    def judge(model: nn.Module) -> dict[str, float]:
        torch.rand(3)
        model.eval()
        return {"accuracy": 0.5, "loss": 1.0}

    assert losses(run(first, recipe(eval_steps=1), judge)) == losses(run(second, RECIPE))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_it_learns_what_can_be_learnt(case: Callable[..., Case], family: str) -> None:
    toy = case(family, rows=120)

    def judge(model: nn.Module) -> dict[str, float]:
        return evaluate.scores(evaluate.logits(model, toy.data, 32, CPU), toy.truth)

    events = run(toy, recipe(epochs=8, learning_rate=5e-3), judge)
    found = losses(events)
    assert np.mean(found[-10:]) < 0.3 < 0.6 < np.mean(found[:3])
    assert evaluations(events)[-1].scores["accuracy"] > 0.9


def test_the_events_tell_the_run(case: Callable[..., Case]) -> None:
    events = run(case(rows=20), recipe(accumulation=2), given(0.5, 0.6))
    parameters = sum(parameter.numel() for parameter in case().model.parameters())
    assert events[0] == Started(4, 1, parameters, parameters, "float32", "cpu")
    kinds = [type(event).__name__ for event in events[1:]]
    assert kinds == ["Step", "Step", "Evaluated", "Step", "Step", "Evaluated", "Stopped"]
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert [step.epoch for step in steps] == [0.5, 1.0, 1.5, 2.0]
    assert sorted(step.examples for step in steps[:2]) == [4, 16]
    assert sum(step.tokens for step in steps[:2]) == int(case(rows=20).data.lengths.sum())
    assert [step.learning_rate for step in steps] == [learning_rate(n, 4, 1, 1e-3) for n in range(1, 5)]
    assert {step.time for step in steps} == {1000.0}
    assert all(step.seconds > 0 and step.grad_norm > 0 for step in steps)
    assert events[-1] == Stopped(4, "finished")


def test_evaluation_every_so_many_steps_and_after_the_last(case: Callable[..., Case]) -> None:
    found = evaluations(run(case(), recipe(eval_steps=4), given(0.1, 0.2, 0.3)))
    assert [(event.step, event.epoch) for event in found] == [(4, 0.8), (8, 1.6), (10, 2.0)]


def test_without_a_judge_nothing_is_evaluated(case: Callable[..., Case]) -> None:
    events = run(case(), recipe(patience=1))
    assert evaluations(events) == []
    assert events[-1] == Stopped(10, "finished")


def test_the_best_is_the_highest_score_and_among_equals_the_lowest_loss(case: Callable[..., Case]) -> None:
    answers = iter(
        [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (math.nan, 0.1), (0.6, 0.1), (0.7, math.nan)]
    )

    def judge(model: nn.Module) -> dict[str, float]:
        score, loss = next(answers)
        return {"accuracy": score, "loss": loss}

    found = evaluations(run(case(rows=8), recipe(epochs=7), judge))
    assert [event.best for event in found] == [True, True, True, False, False, False, False]


def test_the_first_evaluation_is_the_best_even_when_its_score_is_no_number(case: Callable[..., Case]) -> None:
    found = evaluations(run(case(rows=8), recipe(epochs=2), given(math.nan, math.nan, loss=math.nan)))
    assert [event.best for event in found] == [True, False]


def test_it_stops_early_when_the_score_stays_away(case: Callable[..., Case]) -> None:
    events = run(case(rows=8), recipe(epochs=9, patience=2), given(0.5, 0.6, 0.6, 0.5, 0.9))
    assert [event.best for event in evaluations(events)] == [True, True, False, False]
    assert events[-1] == Stopped(4, "early_stopping")


def test_a_run_that_ends_without_patience_left_is_finished(case: Callable[..., Case]) -> None:
    events = run(case(rows=8), recipe(epochs=2, patience=1), given(0.5, 0.5))
    assert events[-1] == Stopped(2, "finished")


def test_a_loss_that_is_no_number_stops_the_run_before_the_update(case: Callable[..., Case]) -> None:
    broken = case()
    events = begin(broken, recipe(learning_rate=3e-4))
    next(events)
    next(events)
    with torch.no_grad():
        broken.model.classifier.bias[0] = math.inf
    before = broken.weights()
    with pytest.raises(
        NonFiniteLoss, match=r"at step 2: .* lower learning rate, for example 0\.0001\."
    ) as caught:
        next(events)
    assert caught.value.step == 2
    assert caught.value.kind == "diverged"
    assert all(torch.equal(tensor, before[name]) for name, tensor in broken.weights().items())


def test_gradients_are_clipped_and_the_norm_before_it_is_told(case: Callable[..., Case]) -> None:
    free, bound = case(), case()
    loose = run(free, recipe(max_grad_norm=1e9))
    tight = run(bound, recipe(max_grad_norm=1e-9, weight_decay=0.0))
    assert isinstance(loose[1], Step)
    assert isinstance(tight[1], Step)
    assert loose[1].grad_norm == tight[1].grad_norm > 1e-3
    start = case().weights()

    def moved(trained: Case) -> float:
        return sum(float((tensor - start[name]).abs().sum()) for name, tensor in trained.weights().items())

    assert moved(bound) < moved(free) / 5


def test_the_consumer_may_close_it_at_any_time(case: Callable[..., Case]) -> None:
    closed = case()
    events = begin(closed, RECIPE)
    next(events)
    next(events)
    events.close()
    assert list(events) == []


class Greedy(CrossEntropy):
    """Wants more memory than there is for more than `most` of the longest rows at a time, once the first `patience` batches
    are made."""

    most, patience = 4, 0

    def batch(self, rows: Any, device: torch.device) -> dict[str, Any]:
        self.patience -= 1
        padded = len(rows) * int(self.lengths[rows].max())
        if padded > self.most * int(self.lengths.max()) and self.patience < 0:
            torch.empty(2**58)
        return super().batch(rows, device)


def greedy(case: Case, used: Recipe, patience: int = 0, most: int = 4) -> list[Event]:
    objective = Greedy(case.data, case.truth, pad_id(case.model))
    objective.patience, objective.most = patience, most
    plan = make_plan(case.model, Full(), used.weight_decay)
    return list(train(case.model, objective, used, plan, None, "accuracy", CPU, clock=lambda: 1000.0))


def test_too_little_memory_means_smaller_parts_of_the_same_step(case: Callable[..., Case]) -> None:
    first, second = case("bert", rows=37), case("bert", rows=37)
    events = greedy(first, recipe(batch_size=16))
    assert [event for event in events if isinstance(event, Halved)] == [Halved(1, 16, 8), Halved(1, 8, 4)]
    assert losses(events) == losses(run(second, recipe(batch_size=16, micro_batch=4)))
    assert all(torch.equal(tensor, second.weights()[name]) for name, tensor in first.weights().items())


def test_what_a_later_attempt_knows_of_the_memory_counts_more_than_what_was_kept(
    case: Callable[..., Case],
) -> None:
    place, used = Place(micro_batch=8), recipe(batch_size=16, micro_batch=4)
    first, second = case("bert", rows=37), case("bert", rows=37)
    objective = CrossEntropy(first.data, first.truth, pad_id(first.model))
    plan = make_plan(first.model, Full(), used.weight_decay)
    events = list(train(first.model, objective, used, plan, None, "accuracy", CPU, place=place))
    assert losses(events) == losses(run(second, used))
    assert place.micro_batch == 4


def test_memory_that_runs_out_on_the_way_changes_nothing_but_the_rounding(case: Callable[..., Case]) -> None:
    first, second = case(rows=40), case(rows=40)
    events = greedy(first, recipe(batch_size=8), patience=7)
    assert [event for event in events if isinstance(event, Halved)] == [Halved(8, 8, 4)]
    np.testing.assert_allclose(losses(events), losses(run(second, RECIPE)), atol=1e-6)
    assert [event.examples for event in events if isinstance(event, Step)] == [8] * 10


def test_a_row_that_does_not_fit_ends_the_run(case: Callable[..., Case]) -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        greedy(case(), RECIPE, most=0)


class Noted(CrossEntropy):
    """Remembers the rows of each part."""

    parts: list[list[int]]

    def batch(self, rows: Any, device: torch.device) -> dict[str, Any]:
        self.parts.append(rows.tolist())
        return super().batch(rows, device)


def parts_of(
    some: Case, strategy: Strategy, by_tokens: bool = False
) -> tuple[list[list[int]], list[list[int]]]:
    """The parts of an epoch's steps of 40 rows, and the batches that they should be of."""
    objective = Noted(some.data, some.truth, pad_id(some.model))
    objective.parts, objective.by_tokens = [], by_tokens
    used = recipe(batch_size=40, epochs=1)
    plan = make_plan(some.model, strategy, used.weight_decay)
    list(train(some.model, objective, used, plan, None, "accuracy", CPU))
    expected = epoch_batches(some.data.lengths, 40, used.seed, 0, alike=not by_tokens)
    return objective.parts, [rows.tolist() for rows in expected]


@pytest.mark.parametrize("by_tokens", [False, True], ids=["rows weigh the same", "tokens weigh the same"])
def test_a_step_is_parted_where_that_costs_less_than_its_padding(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, by_tokens: bool
) -> None:
    monkeypatch.setattr("worker.loop.PASS", 4)
    parts, batches = parts_of(case(rows=400), Full(), by_tokens)
    assert [row for part in parts for row in part] == [row for batch in batches for row in batch]
    assert len(parts) > len(batches)


def test_the_steps_of_a_head_alone_stay_whole(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.loop.PASS", 4)
    parts, batches = parts_of(case(rows=400), Head(kind="head", fit="epochs"))
    assert parts == batches


def test_one_row_is_enough(case: Callable[..., Case]) -> None:
    assert [type(event).__name__ for event in run(case(rows=1), recipe(epochs=1))] == [
        "Started",
        "Step",
        "Stopped",
    ]
