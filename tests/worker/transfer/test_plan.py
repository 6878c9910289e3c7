from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from app.core.strategies import Full, Gradual, Head, Partial, Strategy
from tests.worker.conftest import Case
from tests.worker.tiny import DECODERS, ENCODERS, SEQ2SEQ, build, toy
from worker.backbone import pad_id, quiet
from worker.loop import Recipe, Step, Stopped, train
from worker.losses import CrossEntropy
from worker.transfer import STRATEGIES, Plan, make_plan
from worker.transfer.blocks import computed, stack_of

RECIPE = Recipe(4, 8, 1, 1e-2, 0.0, 0.01, 1.0, None, None, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    texts, _ = toy(40)
    found = {}
    for family in (*ENCODERS, *DECODERS, *SEQ2SEQ):
        folder = build(family, tmp_path_factory.mktemp(family), texts)
        auto: Any = AutoModelForSeq2SeqLM if family in SEQ2SEQ else AutoModelForSequenceClassification
        with quiet():
            found[family] = auto.from_pretrained(folder)
    return found


def train_on(case: Case, options: Any) -> tuple[Plan, list[Step]]:
    plan = make_plan(case.model, options, RECIPE.weight_decay)
    objective = CrossEntropy(case.data, case.truth, pad_id(case.model))
    events = train(case.model, objective, RECIPE, plan, None, "accuracy", torch.device("cpu"))
    return plan, [event for event in events if isinstance(event, Step)]


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *SEQ2SEQ])
@pytest.mark.parametrize("decay", [None, 0.5])
def test_full_and_gradual_cover_each_parameter_once(
    models: dict[str, Any], family: str, decay: float | None
) -> None:
    model = models[family]
    for options in (Full(layer_decay=decay), Gradual(kind="gradual", layer_decay=decay)):
        model.requires_grad_(False)
        plan = make_plan(model, options, 0.01)
        found = [id(parameter) for group in plan.groups for parameter in group.parameters]
        learning = [one for name, one in model.named_parameters() if name not in computed(model)]
        assert sorted(found) == sorted(map(id, learning))
        assert plan.trainable == sum(parameter.numel() for parameter in learning)
        assert all(parameter.requires_grad for parameter in learning)
        assert plan.frozen == ()


def test_positions_that_are_a_formula_stay_what_they_are(models: dict[str, Any]) -> None:
    model = models["marian"]
    make_plan(model, Full(), 0.01)
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert fixed == {"model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"}


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_full_decays_matrices_only(case: Callable[..., Case], family: str) -> None:
    plan = make_plan(case(family).model, Full(), 0.01)
    for group in plan.groups:
        assert {parameter.ndim for parameter in group.parameters} == ({2} if group.weight_decay else {1})


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_lower_blocks_learn_slower(models: dict[str, Any], family: str) -> None:
    stack = stack_of(models[family])
    plan = make_plan(models[family], Full(layer_decay=0.5), 0.0)
    scales = {name: group.scale for group in plan.groups for name in group.names}
    for level in range(stack.top + 1):
        assert {scales[name] for name in stack.of(level)} == {0.5 ** (stack.top - level)}


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_head_leaves_the_trunk_alone(models: dict[str, Any], family: str) -> None:
    model = models[family]
    plan = make_plan(model, Head(kind="head"), 0.0)
    stack = stack_of(model)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == set(stack.of(stack.top)) == {name for group in plan.groups for name in group.names}
    assert plan.frozen == tuple(block for _, block in stack.blocks)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *SEQ2SEQ])
def test_partial_trains_the_last_blocks(models: dict[str, Any], family: str) -> None:
    model = models[family]
    plan = make_plan(model, Partial(kind="partial", layers=1), 0.0)
    stack = stack_of(model)
    learning = {stack.level[name] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning <= {stack.top - 1, stack.top}
    assert stack.top - 1 in learning
    assert plan.frozen == tuple(block for _, block in stack.blocks[:-1])


@pytest.mark.parametrize("options", [Head(kind="head"), Partial(kind="partial", layers=1)])
def test_frozen_weights_keep_their_bits_and_the_others_move(case: Callable[..., Case], options: Any) -> None:
    one = case("bert")
    before = one.weights()
    plan, steps = train_on(one, options)
    learning = {name for group in plan.groups for name in group.names}
    assert steps[-1].loss < steps[0].loss
    for name, tensor in one.model.named_parameters():
        assert torch.equal(tensor, before[name]) == (name not in learning), name


def test_frozen_blocks_have_no_dropout_and_the_others_do(case: Callable[..., Case]) -> None:
    one = case("bert")
    plan = make_plan(one.model, Partial(kind="partial", layers=1), 0.0)
    plan.enter(one.model, 0.0)
    modes = {
        name: module.training for name, module in one.model.named_modules() if isinstance(module, nn.Dropout)
    }
    assert {name for name, training in modes.items() if not training} == {
        name for name in modes if "embeddings" in name or "layer.0" in name
    }


def test_the_dropout_before_frozen_blocks_sleeps_too(case: Callable[..., Case]) -> None:
    one = case("gpt2")
    plan = make_plan(one.model, Partial(kind="partial", layers=1), 0.0)
    plan.enter(one.model, 0.0)
    assert not one.model.transformer.drop.training
    assert one.model.transformer.h[1].attn.attn_dropout.training


def test_gradual_thaws_from_the_top_and_counts_steps_from_there(case: Callable[..., Case]) -> None:
    one = case("bert")
    plan = make_plan(one.model, Gradual(kind="gradual", over=0.6), 0.0)
    stack = stack_of(one.model)
    starts = {name: group.start for group in plan.groups for name in group.names}
    assert [{round(starts[name], 9) for name in stack.of(level)} for level in (3, 2, 1, 0)] == [
        {0.0},
        {0.2},
        {0.4},
        {0.6},
    ]
    assert [plan.stage(done) for done in (0.0, 0.19, 0.25, 0.41, 0.7)] == [1, 1, 2, 3, 4]
    before = one.weights()
    objective = CrossEntropy(one.data, one.truth, pad_id(one.model))
    learnt: list[set[int]] = []
    for event in train(one.model, objective, RECIPE, plan, None, "accuracy", torch.device("cpu")):
        if isinstance(event, Step):
            moved = [name for name, now in one.model.named_parameters() if not torch.equal(now, before[name])]
            learnt.append({stack.level[name] for name in moved})
    assert [len(levels) for levels in learnt] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 8


def test_a_new_head_can_have_a_start(case: Callable[..., Case]) -> None:
    one = case("bert")
    stack = stack_of(one.model)
    plan = make_plan(one.model, Full(), 0.0).waiting(0.3, stack.of(stack.top))
    before = one.weights()
    objective = CrossEntropy(one.data, one.truth, pad_id(one.model))
    for event in train(one.model, objective, RECIPE, plan, None, "accuracy", torch.device("cpu")):
        if isinstance(event, Step):
            moved = {name for name, now in one.model.named_parameters() if not torch.equal(now, before[name])}
            assert moved == (set(stack.of(stack.top)) if event.step <= 6 else set(stack.level))
    assert event == Stopped(20, "finished")


def test_every_strategy_of_the_spec_is_registered() -> None:
    kinds = {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(Strategy)[0])}
    assert set(STRATEGIES) == kinds
