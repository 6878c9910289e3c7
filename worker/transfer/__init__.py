"""Transfer strategies: one file each, which turns (model, options, hyperparameters) into a Plan.

The loop never learns a strategy's name: it trains what the plan says. A new strategy is a new file, its
options in app.core.strategies, and one line here.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from app.core.strategies import Strategy
from worker.seeds import reseed
from worker.transfer import full, gradual, head, lora, partial
from worker.transfer.plan import Plan

STRATEGIES: dict[str, Callable[[nn.Module, Any, float], Plan]] = {
    "full": full.plan,
    "head": head.plan,
    "partial": partial.plan,
    "gradual": gradual.plan,
    "lora": lora.plan,
}


def make_plan(model: nn.Module, strategy: Strategy, weight_decay: float, seed: int = 1) -> Plan:
    """The plan of the spec's strategy for `model`. Sets requires_grad of the parameters; new ones are drawn from (seed, "adapter").

    Raises Invalid for a strategy that does not fit the model.
    """
    reseed(seed, "adapter")
    return STRATEGIES[strategy.kind](model, strategy, weight_decay)


__all__ = ["STRATEGIES", "Plan", "make_plan"]
