"""What a strategy costs. What learns is compared with the plans in tests/worker/transfer/test_blocks.py."""

from typing import Any

import pytest

from app.core.strategies import Full, Gradual, Head, Lora, Partial
from app.models.learning import levels_of, work
from app.models.stack import Stack

STACK = Stack("bert", 10_000, (100,) * 4, ({"query": (10, 10)},) * 4, 0, 10, 2, 50, 10)


def cost(strategy: Any, epochs: int | None, head: int = 0) -> float:
    return work(STACK, levels_of(STACK, strategy, head), epochs)


def test_what_learns_costs_three_passes_and_what_is_frozen_one() -> None:
    assert cost(Full(), 3) == 3 * 3 * 400
    assert cost(Partial(kind="partial", layers=1), 3) == 300 + 3 * 3 * 100
    assert cost(Head(kind="head"), 5, head=20) == 400 + 5 * 3 * 20
    assert cost(Head(kind="head"), None, head=20) == 400


def test_an_adapter_costs_no_gradient_of_the_matrix_beside_it() -> None:
    assert cost(Lora(kind="lora", rank=1), 2) == 2 * 2 * 400


def test_gradual_pays_for_backward_passes_as_blocks_thaw() -> None:
    # Blocks thaw at 0.2, 0.4, 0.6 and 0.8 of the steps, the embeddings, which nothing is multiplied by, at 1.
    found = cost(Gradual(kind="gradual", over=1.0), 1)
    assert found == pytest.approx(400 + 2 * 100 * (0.8 + 0.6 + 0.4 + 0.2))
    assert cost(Gradual(kind="gradual", over=0.01), 1) < cost(Full(), 1)


def test_nothing_is_told_of_a_strategy_that_is_not_described() -> None:
    class Magic:
        kind = "magic"

    assert levels_of(STACK, Magic(), 20) == []
