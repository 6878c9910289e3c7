"""gradual: the head learns first, then one block more after the other (Howard & Ruder 2018, ULMFiT, section 3.3)."""

from torch import nn

from app.core.strategies import Gradual
from worker.transfer.blocks import Stack
from worker.transfer.plan import Plan, layered


def plan(model: nn.Module, options: Gradual, weight_decay: float) -> Plan:
    """The levels below the head begin at equal distances; the embeddings, the last of them, at `over` of the steps.

    ULMFiT thaws one more layer each epoch; here it is a share of the steps, so that a run of three epochs thaws a model of
    twelve blocks as well. All parameters are the optimiser's from the start; one that is frozen has no gradient and is
    passed over, so that its step count and bias correction begin when it thaws.
    """

    def start(level: int, stack: Stack) -> float:
        return options.over * (stack.top - level) / stack.top

    return layered(model, weight_decay, layer_decay=options.layer_decay, start=start)
