"""Dropout whose random numbers cost little on a CPU.

torch draws a mask by one scalar Mersenne twister, a number at a time on one core: a tenth of the training time of a small
encoder. Here numpy's SFC64 gives four 16-bit numbers a draw and torch compares them with a threshold, which is vectorised.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MASKS_VERSION = 1  # of the numbers below, for plan.json: a resume with other masks is not exact
LEVELS = 1 << 16  # of a random number: the probability is kept to within 1 / 131,072


def kept(shape: torch.Size, p: float) -> Tensor:
    """float32 of `shape` on the CPU: 0 with probability `p`, else 1 / (1 - p) (of the p that the levels can express).

    The mask is a function of the state of torch's generator, from which it takes one number; so whoever seeds torch
    determines it, as with torch's own dropout (with other bits).
    """
    count = shape.numel()
    dropped = round(p * LEVELS)
    if dropped >= LEVELS or count == 0:
        return torch.zeros(shape)
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.SFC64(seed).random_raw(-(-count // 4))
    noise = torch.from_numpy(words.view(np.int16)[:count])
    mask = torch.empty(count)
    torch.ge(
        noise, dropped - LEVELS // 2, out=mask
    )  # straight into floats: a mask of booleans costs a pass more
    return mask.mul_(LEVELS / (LEVELS - dropped)).view(shape)


class Drop(torch.autograd.Function):
    """x · kept(p); the gradient is the output's · the same mask."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        mask = kept(x.shape, p)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradients[0] * mask, None


class FastDropout(nn.Dropout):
    """nn.Dropout with the mask of `kept` where it is float32 on a CPU; the same as nn.Dropout elsewhere."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return input
        if input.device.type != "cpu" or input.dtype != torch.float32:
            return super().forward(input)
        result: Tensor = Drop.apply(input, self.p)  # type: ignore[no-untyped-call]
        return result


def swapped(model: nn.Module) -> list[nn.Dropout]:
    """Makes each plain nn.Dropout of `model` a FastDropout, in place (its name, mode and hooks stay); returns them."""
    found = [module for module in model.modules() if type(module) is nn.Dropout and not module.inplace]
    for module in found:
        module.__class__ = FastDropout
    return found
