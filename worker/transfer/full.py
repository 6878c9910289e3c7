"""full: all weights learn."""

from torch import nn

from app.core.strategies import Full
from worker.transfer.plan import Plan, layered


def plan(model: nn.Module, options: Full, weight_decay: float) -> Plan:
    return layered(model, weight_decay, layer_decay=options.layer_decay)
