"""The processes that train one model together, as the loop sees them: each takes its share of a step's parts, and all
end the step with the same sums. They are started in worker/distributed.py.

A part keeps its number whoever works on it, and its dropout derives from that number: the same number of processes
gives the same bits. (DistributedDataParallel would average the gradients of parts of different size, and expects one part a
process; summing them ourselves is as exact as one process is.) Untested on GPUs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import get_total_norm

BUCKET = 2**24  # numbers that are summed in one message: 64 MB

Found = TypeVar("Found")
Item = TypeVar("Item")


class Ranks:
    """One process alone: nothing to share. `rank`: this one's number, from 0; `world`: how many there are."""

    rank = 0
    world = 1
    sharded = False  # whether each process holds a part of the model only (worker/sharding.py)

    @property
    def first(self) -> bool:
        """Whether this is the process that records, evaluates and saves."""
        return self.rank == 0

    def own(self, parts: Iterable[Item], weight: float) -> Iterator[tuple[int, Item, float]]:
        """(number, part, what its loss is divided by) of this process's parts. `weight`: of the whole step."""
        mine = islice(enumerate(parts), self.rank, None, self.world)
        return ((number, part, weight) for number, part in mine)

    def any(self, here: bool) -> bool:
        """Whether `here` is true in any process."""
        return here

    def add(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> None:
        """Sums `loss` and the gradients of `parameters` over all processes, in place."""

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """The 2-norm over all `gradients`, a scalar."""
        return get_total_norm(gradients)

    def share(self, find: Callable[[], Found]) -> Found:
        """What `find` gives in the first process; only there it is called."""
        return find()

    def align(self, model: nn.Module) -> None:
        """Gives all processes the first one's weights."""

    def gather(self) -> None:
        """Every process has all weights in its model from here on; no-one needs the others to use it."""

    def scatter(self) -> None:
        """Ends that, before the next step."""


class Joined(Ranks):
    """One of `world` processes whose process group is there: gloo for tensors on the CPU, NCCL for those on a GPU."""

    def __init__(self) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()

    def any(self, here: bool) -> bool:
        # On the CPU also where the training is on a GPU: the GPU is not waited for.
        flag = torch.tensor(here, dtype=torch.uint8)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def add(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> None:
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        # A process without a part of a short step has no gradients; one that no process has must stay absent, for the
        # optimiser passes over it.
        used = torch.tensor([parameter.grad is not None for parameter in learning], dtype=torch.uint8)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        tensors = [loss]
        for parameter, somewhere in zip(learning, used.tolist(), strict=True):
            if somewhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                tensors.append(parameter.grad)
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            begin = 0
            for tensor in bucket:
                tensor.copy_(flat[begin : begin + tensor.numel()].view_as(tensor))
                begin += tensor.numel()

    def share(self, find: Callable[[], Found]) -> Found:
        found: list[Found | None] = [find() if self.first else None]
        dist.broadcast_object_list(found, 0, device=torch.device("cpu"))
        return found[0]  # type: ignore[return-value]

    def align(self, model: nn.Module) -> None:
        with torch.no_grad():
            for tensor in chain(model.parameters(), model.buffers()):
                dist.broadcast(tensor, 0)


ALONE = Ranks()


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor whose parts are spread; every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def spread_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of `tensor`, if it is one for each number of `parameter` and that is spread."""
    if not isinstance(parameter, DTensor) or tensor.shape != parameter.shape:
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and sum(one.numel() for one in bucket) + tensor.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(tensor)
    yield bucket
