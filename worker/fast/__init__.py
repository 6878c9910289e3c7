"""The same training and the same answers, computed faster on a CPU. Nothing of the training is left out.

    with quickened(model):
        train, evaluate, predict

A change belongs here only if it keeps updates, dropout probabilities and tokens as they are. Inside, the random masks have other bits
than outside, so all attempts of a run must use it or none.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from worker.fast import memory
from worker.fast.attention import NAME, register
from worker.fast.dropout import swapped
from worker.fast.last_block import shortened

__all__ = ["quickened"]


@contextmanager
def quickened(model: nn.Module) -> Iterator[None]:
    """Inside, `model` is faster where it can be: dropout, attention with dropout, the last block of a classifier by its
    first token, memory that is used again. Afterwards it is what it was, with the weights that it has learned. Weights keep their names throughout.

    Does nothing to a model on a GPU, whose own kernels are better, but for the last block.
    """
    with ExitStack() as stack:
        stack.enter_context(shortened(model))
        if next(model.parameters()).device == torch.device("cpu"):
            for module in swapped(model):
                stack.callback(setattr, module, "__class__", nn.Dropout)
            stack.enter_context(_attention(model))
            stack.enter_context(memory.kept())
        yield


@contextmanager
def _attention(model: Any) -> Iterator[None]:
    """Models whose attention is "sdpa" ask for ours; one that brings its own code for it keeps that."""
    if (
        not isinstance(model, PreTrainedModel)
        or model.config._attn_implementation != "sdpa"
        or not model._can_set_attn_implementation()
    ):
        yield
        return
    register()
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation("sdpa")
