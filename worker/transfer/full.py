"""full: all weights learn, at one learning rate."""

from torch import nn

from app.core.spec import Full
from worker.optim import Rule, parameter_groups
from worker.transfer.plan import Plan


def plan(model: nn.Module, options: Full, weight_decay: float) -> Plan:
    model.requires_grad_(True)
    return Plan(parameter_groups(model, [Rule(".*")], weight_decay))
