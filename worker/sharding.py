"""Blocks spread over the processes that train together, for a model that with its gradients and moments fits no single one:
torch's fully_shard (FSDP2, Zhao et al. 2023, "PyTorch FSDP").

Each process keeps its part of each block that learns; a block comes together for its forward and its backward and is dropped
again. Embeddings and head stay whole in all of them: they are small, and may share weights. To judge, all blocks come
together, and at the end the model is a plain one again. Tested on the CPU only.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

from worker.optim import Group
from worker.ranks import Item, Joined, whole
from worker.transfer.blocks import stack_of
from worker.transfer.plan import Plan


class Sharded(Joined):
    """Processes that each hold a part of the blocks of `model`. All take part in each block, so all have as many parts of
    a step: `own` gives one that has none left another's, which counts nothing."""

    sharded = True

    def __init__(self, model: Any, plan: Plan, device: torch.device) -> None:
        """Spreads the blocks that learn; all processes get the first one's weights before. `plan` is then the one for the loop."""
        super().__init__()
        model.to(device)
        super().align(model)
        self.model, self._plain = model, {}
        mesh = init_device_mesh(device.type, (self.world,))
        for path in learning_blocks(model, plan):
            block = model.get_submodule(path)
            self._plain[path] = copy.deepcopy(block).to("meta")  # its make, without its weights
            sharded: Any = fully_shard(block, mesh=mesh, reshard_after_forward=True)
            # Sums, not means: each part is divided by the weight of the whole step.
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(True)
        self.plan = replace(plan, groups=tuple(_regrouped(model, plan.groups)))

    @property
    def names(self) -> list[str]:
        """Of all parameters of the blocks that are spread."""
        return [name for name, _ in self.model.named_parameters() if name.startswith(self._inside)]

    def own(self, parts: Iterable[Item], weight: float) -> Iterator[tuple[int, Item, float]]:
        known = list(parts)
        for begin in range(0, len(known), self.world):
            number = begin + self.rank
            if number < len(known):
                yield number, known[number], weight
            else:
                yield number, known[begin], float("inf")

    def add(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> None:
        super().add([one for one in parameters if not isinstance(one, DTensor)], loss)

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        here = get_total_norm([one for one in gradients if not isinstance(one, DTensor)])
        spread: Any = get_total_norm([one for one in gradients if isinstance(one, DTensor)])
        norm: Tensor = torch.linalg.vector_norm(torch.stack((here, whole(spread))))
        return norm

    def align(self, model: nn.Module) -> None:
        """They are the same from the start."""

    def gather(self) -> None:
        for block in self._blocks:
            block.set_reshard_after_forward(False)
            block.unshard()

    def scatter(self) -> None:
        for block in self._blocks:
            block.set_reshard_after_forward(True)
            block.reshard()

    def end(self, *, alone: bool = False) -> None:
        """Makes the model a plain one again. `alone`: without the other processes, so that the blocks have no weights yet."""
        self.scatter()
        for path, plain in self._plain.items():
            block = self.model.get_submodule(path)
            plain.to_empty(device=next(block.parameters()).device)
            with torch.no_grad():
                for name, parameter in block.named_parameters():
                    plain.get_parameter(name).requires_grad_(parameter.requires_grad)
                    if not alone:
                        plain.get_parameter(name).copy_(whole(parameter))
                for name, buffer in block.named_buffers():
                    plain.get_buffer(name).copy_(buffer)
            self.model.set_submodule(path, plain)
        self._plain = {}

    @property
    def _blocks(self) -> Iterator[Any]:
        return (self.model.get_submodule(path) for path in self._plain)

    @property
    def _inside(self) -> tuple[str, ...]:
        return tuple(f"{path}." for path in self._plain)


def learning_blocks(model: Any, plan: Plan) -> list[str]:
    """The blocks that can be spread: of those in which something learns. None where blocks are gone through several times
    (ALBERT) or share weights."""
    blocks = stack_of(model).blocks
    weights = [id(parameter) for _, block in blocks for parameter in block.parameters()]
    if len(set(weights)) < len(weights) or int(getattr(model.config, "num_hidden_layers", 0)) > len(blocks):
        return []
    learning = [name for group in plan.groups for name in group.names]
    return [path for path, _ in blocks if any(name.startswith(f"{path}.") for name in learning)]


def _regrouped(model: nn.Module, groups: Iterable[Group]) -> Iterator[Group]:
    """The parameters that are there now. Fused AdamW takes no group that is part spread, part whole."""
    of: Callable[[str], nn.Parameter] = model.get_parameter
    for group in groups:
        for kind in (True, False):
            names = tuple(name for name in group.names if isinstance(of(name), DTensor) == kind)
            if names:
                yield replace(group, names=names, parameters=tuple(map(of, names)))
