"""Transfer strategies: one file each, which turns (model, options, hyperparameters) into a Plan.

The loop never learns a strategy's name: it trains what the plan says. A new strategy is a new file, its
options in app.core.spec, and one line here.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from app.core.spec import Full
from worker.transfer import full
from worker.transfer.plan import Plan

STRATEGIES: dict[str, Callable[[nn.Module, Any, float], Plan]] = {
    "full": full.plan,
}


def make_plan(model: nn.Module, strategy: Full, weight_decay: float) -> Plan:
    """The plan of the spec's strategy for `model`. Sets requires_grad of the parameters."""
    return STRATEGIES[strategy.kind](model, strategy, weight_decay)


__all__ = ["STRATEGIES", "Plan", "make_plan"]
