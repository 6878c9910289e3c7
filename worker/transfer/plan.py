"""What a transfer strategy hands to the loop."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from worker.optim import Group, Rule, exactly, parameter_groups
from worker.transfer.blocks import Stack, computed, stack_of

NEVER = math.inf


@dataclass(frozen=True)
class Plan:
    """Which parameters learn, at which share of the learning rate, with which weight decay, and from when on.

    Parameters that are in no group are frozen. `modules`: (module, the share of the steps from which it is in training mode);
    others always are. `frozen`: the blocks from the bottom that never learn, nor does anything before them: their output is
    the same in each epoch. `head_only`: these are all of them, so that a step's time hardly goes with its tokens. `finish()`:
    turns the trained model into the one that is measured and downloaded, in place. `beside(folder, base)`, after that: writes
    what lies beside the download into the new `folder`; `base`: the name of the pre-trained model.
    """

    groups: tuple[Group, ...]
    modules: tuple[tuple[nn.Module, float], ...] = ()
    frozen: tuple[nn.Module, ...] = ()
    head_only: bool = False
    finish: Callable[[], None] | None = None
    beside: Callable[[Path, str], None] | None = None

    @property
    def trainable(self) -> int:
        """Numbers that learn, in the end."""
        return sum(parameter.numel() for group in self.groups for parameter in group.parameters)

    def waiting(self, share: float, head: Collection[str]) -> "Plan":
        """The plan in which only the parameters named in `head` learn before that share of the steps, so that a new head's
        first, blind gradients don't spoil what the trunk knows (Kumar et al. 2022)."""
        groups = tuple(
            group if set(group.names) <= set(head) else replace(group, start=max(group.start, share))
            for group in self.groups
        )
        return replace(self, groups=groups)

    def stage(self, done: float) -> int:
        """Counts up whenever something begins to learn; `done`: the share of the steps that lie behind."""
        return len({group.start for group in self.groups if group.start <= done})

    def enter(self, model: nn.Module, done: float) -> None:
        """Puts `model` in the state for a step at `done`: what is frozen has no gradient and no dropout."""
        model.train()
        for module, start in self.modules:
            module.train(start <= done)
        for group in self.groups:
            for parameter in group.parameters:
                parameter.requires_grad_(group.start <= done)


def layered(
    model: nn.Module,
    weight_decay: float,
    *,
    learns: Callable[[int, Stack], bool] = lambda _level, _stack: True,
    layer_decay: float | None = None,
    start: Callable[[int, Stack], float] = lambda _level, _stack: 0.0,
) -> Plan:
    """The plan in which whole levels of the stack learn or don't.

    `layer_decay` d: the head learns at the whole rate, the last block at d, the one below at d², the embeddings slowest (Clark
    et al. 2020, ELECTRA; the exponents are those of BEiT, Bao et al. 2022). `start(level, stack)`: the share of the steps
    from which a level learns.
    """
    stack = stack_of(model)
    starts = {level: start(level, stack) if learns(level, stack) else NEVER for level in range(stack.top + 1)}
    fixed, rules = computed(model), []
    for level in range(stack.top, -1, -1):
        names = [name for name in stack.of(level) if name not in fixed]
        if names and starts[level] < NEVER:
            scale = 1.0 if layer_decay is None else layer_decay ** (stack.top - level)
            rules.append(Rule(exactly(names), scale, starts[level]))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(starts[stack.level[name]] < NEVER and name not in fixed)
    frozen = 0
    while frozen < len(stack.blocks) and all(starts[level] == NEVER for level in range(frozen + 2)):
        frozen += 1
    sleeping = _sleeping(model, {name: starts[level] for name, level in stack.level.items()})
    if frozen:
        sleeping += [(module, NEVER) for module in _before_blocks(model, stack)]
    return Plan(
        parameter_groups(model, rules, weight_decay),
        tuple(sleeping),
        tuple(block for _, block in stack.blocks[:frozen]),
        frozen == len(stack.blocks),
    )


def _before_blocks(model: nn.Module, stack: Stack) -> Iterator[nn.Module]:
    """What has no weights and stands before the blocks in the trunk: GPT-2's dropout of the embeddings."""
    around = stack.blocks[0][0].removeprefix(f"{stack.trunk}.").split(".")[0]
    for name, child in model.get_submodule(stack.trunk).named_children():
        if name == around:
            return
        if not any(True for _ in child.parameters()):
            yield child


def _sleeping(
    module: nn.Module, starts: Mapping[str, float], path: str = ""
) -> list[tuple[nn.Module, float]]:
    """The outermost modules all of whose parameters begin to learn at one later time, with that time."""
    found = {start for name, start in starts.items() if name.startswith(path)}
    if len(found) == 1 and path:
        start = found.pop()
        return [(module, start)] if start else []
    return [
        pair
        for name, child in module.named_children()
        if any(True for _ in child.parameters())
        for pair in _sleeping(child, starts, f"{path}{name}.")
    ]
