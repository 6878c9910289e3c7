"""Blocks that are spread over processes, with one process; with several see test_distributed.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from app.core.strategies import Full, Head, Lora, Partial
from tests.worker.conftest import Case
from worker.footprint import footprint, shared_out
from worker.sharding import Sharded, learning_blocks
from worker.transfer import make_plan

CPU = torch.device("cpu")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=(tmp_path / "meeting").as_uri(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_blocks_that_learn_are_spread(case: Callable[..., Case]) -> None:
    blocks = ["bert.encoder.layer.0", "bert.encoder.layer.1"]
    for options, found in (
        (Full(), blocks),
        (Partial(kind="partial", layers=1), blocks[1:]),
        (Head(kind="head"), []),
        (Lora(kind="lora"), blocks),
    ):
        model = case("bert").model
        assert learning_blocks(model, make_plan(model, options, 0.0)) == found


def test_a_block_that_is_gone_through_again_is_not_spread(case: Callable[..., Case]) -> None:
    model = case("bert").model
    model.config.num_hidden_layers = 4
    assert learning_blocks(model, make_plan(model, Full(), 0.0)) == []


def test_processes_share_out_gradients_and_moments_of_the_blocks(case: Callable[..., Case]) -> None:
    model = case("bert").model
    plan = make_plan(model, Full(), 0.0)
    need = footprint(model, plan, 20, CPU)
    inside = sum(parameter.numel() for parameter in model.bert.encoder.layer.parameters())
    assert shared_out(need, model, plan, 4).fixed == need.fixed - 12 * inside * 3 / 4
    assert shared_out(need, model, plan, 1) == need


@pytest.mark.usefixtures("alone")
def test_in_the_end_it_is_a_plain_model_with_the_same_weights(case: Callable[..., Case]) -> None:
    loaded = case("gpt2")
    before, kinds = loaded.weights(), [type(module) for module in loaded.model.modules()]
    sharded = Sharded(loaded.model, make_plan(loaded.model, Full(), 0.0), CPU)
    assert all(isinstance(loaded.model.get_parameter(name), DTensor) for name in sharded.names)
    with torch.no_grad():
        loaded.model(input_ids=torch.tensor([[1, 2, 3]]))
    sharded.gather()
    assert not any(isinstance(parameter, DTensor) for parameter in loaded.model.parameters())
    sharded.end()
    assert [type(module) for module in loaded.model.modules()] == kinds
    after = loaded.weights()
    assert list(after) == list(before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.usefixtures("alone")
def test_without_the_others_it_is_a_plain_model_that_waits_for_weights(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    before = loaded.weights()
    sharded = Sharded(loaded.model, make_plan(loaded.model, Partial(kind="partial", layers=1), 0.0), CPU)
    sharded.end(alone=True)
    loaded.model.load_state_dict(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.weights().items())
    assert not loaded.model.bert.encoder.layer[0].attention.self.query.weight.requires_grad
    assert loaded.model.bert.encoder.layer[1].attention.self.query.weight.requires_grad
