from collections.abc import Callable

import pytest

from app.core.spec import Full
from tests.worker.conftest import Case
from worker.transfer import STRATEGIES, make_plan


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_full_trains_every_parameter_once(case: Callable[..., Case], family: str) -> None:
    model = case(family).model
    model.requires_grad_(False)
    plan = make_plan(model, Full(), 0.01)
    found = [id(parameter) for group in plan.groups for parameter in group.parameters]
    assert sorted(found) == sorted(id(parameter) for parameter in model.parameters())
    assert plan.trainable == sum(parameter.numel() for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_full_decays_matrices_only(case: Callable[..., Case], family: str) -> None:
    plan = make_plan(case(family).model, Full(), 0.01)
    for group in plan.groups:
        assert {parameter.ndim for parameter in group.parameters} == ({2} if group.weight_decay else {1})


def test_every_strategy_of_the_spec_is_registered() -> None:
    assert set(STRATEGIES) == {"full"}
