"""partial: the last blocks and the head learn."""

from torch import nn

from app.core.strategies import Partial
from worker.transfer.plan import Plan, layered


def plan(model: nn.Module, options: Partial, weight_decay: float) -> Plan:
    return layered(
        model,
        weight_decay,
        learns=lambda level, stack: level >= max(1, stack.top - options.layers),
        layer_decay=options.layer_decay,
    )
