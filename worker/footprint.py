"""How much memory a training takes, and what fits: rows at a time, and whether blocks are computed twice to keep less.

An estimate before the first step. Where it was too hopeful, the loop halves the rows (worker/memory.py). Untested on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from app.models.stack import KEPT, KEPT_OF_ATTENTION
from worker import plan as plans
from worker.backbone import text_config
from worker.processes import memory_group
from worker.ranks import Ranks
from worker.sharding import learning_blocks
from worker.transfer.blocks import stack_of
from worker.transfer.plan import Plan

SHARE = 0.9  # of the free memory; what only passes by, and torch's own blocks, take the rest
FEW = 8  # rows at a time, below which a GPU idles: computing blocks twice costs a third of the time, and then costs less


@dataclass(frozen=True)
class Footprint:
    """Bytes. `fixed`: beside the weights; `row`: what the longest row keeps; `thrifty`: the same with checkpoints."""

    fixed: float
    row: float
    thrifty: float


@dataclass(frozen=True)
class Fit:
    """`micro_batch`: rows of the longest at a time. `checkpointing`: each block keeps only its input and is computed again for its
    gradient (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost")."""

    micro_batch: int
    checkpointing: bool
    sharded: bool = False  # the blocks are spread over the processes (worker/sharding.py)


def footprint(model: nn.Module, plan: Plan, tokens: int, device: torch.device) -> Footprint:
    """What training `model` by `plan` takes, the longest row having `tokens` tokens.

    On a GPU with autocast, activations have two bytes a number, and no attention is written out.
    """
    config = text_config(model)
    stack = stack_of(model)
    gpu = device.type == "cuda"
    size = 2 if gpu and torch.cuda.is_bf16_supported() else 4
    inputs = tokens * int(config.hidden_size) * size
    heads = 0 if gpu else int(config.num_attention_heads)
    block = KEPT * inputs + KEPT_OF_ATTENTION * heads * tokens**2 * size
    # ALBERT's one set of weights is gone through many times.
    blocks = max(1, max(len(stack.blocks), int(config.num_hidden_layers)) - len(plan.frozen))
    output: Any = getattr(model, "get_output_embeddings", lambda: None)()
    logits = 12 * tokens * int(config.vocab_size) if output is not None else 0
    numbers = sum(parameter.numel() for parameter in model.parameters())
    copies = size * numbers if size == 2 else 0
    return Footprint(
        fixed=12 * plan.trainable + copies,  # the gradient and Adam's two moments
        row=blocks * block + logits,
        thrifty=blocks * inputs + block + logits,
    )


def shared_out(need: Footprint, model: Any, plan: Plan, world: int) -> Footprint:
    """The same where `world` processes share out gradients and moments of the blocks. The weights come together in each of them
    to judge, so they count whole."""
    inside = tuple(f"{path}." for path in learning_blocks(model, plan))
    numbers = sum(
        parameter.numel()
        for group in plan.groups
        for name, parameter in zip(group.names, group.parameters, strict=True)
        if name.startswith(inside)
    )
    return replace(need, fixed=need.fixed - 12 * numbers * (1 - 1 / world))


def fit(need: Footprint, free: float, rows: int) -> Fit:
    """The most of `rows` (halved and halved again) that fit into `free` bytes; checkpoints where that would be fewer than
    FEW. One row with checkpoints where nothing fits: the training may still be smaller than thought."""
    room = SHARE * free - need.fixed
    few = min(rows, FEW)
    most = rows
    while most > few and most * need.row > room:
        most = max(1, most // 2)
    if most * need.row <= room:
        return Fit(most, False)
    most = rows
    while most > 1 and most * need.thrifty > room:
        most = max(1, most // 2)
    return Fit(most, True)


def free_bytes(device: torch.device) -> float:
    """Of the GPU; without one of the machine, or of the cgroup that we are in."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    free = psutil.virtual_memory().available
    group = memory_group()
    return float(free if group is None else min(free, group))


def settle(
    file: Path,
    model: Any,
    plan: Plan,
    most: tuple[int, int],
    device: torch.device,
    ranks: Ranks,
    say: Callable[[str], None],
    *,
    shard: bool = False,
) -> Fit:
    """What the first attempt wrote to the run's plan (`file`), or chooses now. `model` is told to checkpoint.

    `most`: rows at a time that are asked for, tokens of the longest. `shard`: blocks are spread over several processes even
    where there is no need.
    """
    rows, tokens = most

    def choose() -> Fit:
        known = plans.read(file)
        if known.get("checkpointing") is not None:
            return Fit(known["micro_batch"], known["checkpointing"], known.get("sharded", False))
        weights = 4 * sum(parameter.numel() for parameter in model.parameters())
        there = next(model.parameters()).device.type == device.type
        free = free_bytes(device) / (1 if device.type == "cuda" else ranks.world)
        free -= 0 if there else weights
        need = footprint(model, plan, tokens, device)
        spread = shared_out(need, model, plan, ranks.world)
        sharded = spread.fixed < need.fixed and (shard or SHARE * free - need.fixed < need.thrifty)
        found = fit(spread if sharded else need, free, rows)
        found = Fit(
            min(found.micro_batch, known["micro_batch"]),
            found.checkpointing and bool(getattr(model, "supports_gradient_checkpointing", False)),
            sharded,
        )
        plans.note(
            file, micro_batch=found.micro_batch, checkpointing=found.checkpointing, sharded=found.sharded
        )
        if sharded:
            say(
                f"Each of the {ranks.world} processes keeps a part of each block, its gradients and moments (FSDP2)."
            )
        if (found.micro_batch, found.checkpointing) != (rows, False):
            twice = ", and each block is computed twice to keep less" if found.checkpointing else ""
            say(
                f"To fit the memory ({free / 1e9:.1f} GB are free) it is {found.micro_batch} of the longest rows at a time, more of shorter ones{twice}; "
                "the effective batch stays the same."
            )
        return found

    found = ranks.share(choose)
    if found.checkpointing:
        model.activation_checkpointing_enable()
    return found
