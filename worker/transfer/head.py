"""head: the trunk is frozen, only what stands above it learns."""

from torch import nn

from app.core.strategies import Head
from worker.transfer.plan import Plan, layered


def plan(model: nn.Module, options: Head, weight_decay: float) -> Plan:
    return layered(model, weight_decay, learns=lambda level, stack: level == stack.top)
