"""What a transfer strategy hands to the loop."""

from dataclasses import dataclass

from worker.optim import Group


@dataclass(frozen=True)
class Plan:
    """Which parameters learn, at which share of the learning rate, with which weight decay.

    Parameters that are in no group are frozen: the strategy has set their requires_grad to False.
    """

    groups: tuple[Group, ...]

    @property
    def trainable(self) -> int:
        """Numbers that learn."""
        return sum(parameter.numel() for group in self.groups for parameter in group.parameters)
