"""Attention with dropout on a CPU, for the families that ask transformers' AttentionInterface for theirs.

torch's scaled_dot_product_attention has a fused kernel for the CPU, but not with dropout: then it takes a path of many passes
over the scores, and draws the mask one number at a time. This is the same in as few passes, with the mask of worker.fast.dropout.
Without dropout (evaluation, a decoder that has none) and on a GPU it is transformers' own "sdpa".
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from worker.fast.dropout import kept

NAME = "headstart"


class Attend(torch.autograd.Function):
    """softmax(scale · q kᵀ + bias) with dropout `p`, times v.

    q (batch, heads, L, d), k and v (batch, heads, S, d); bias None or a constant that broadcasts to (batch, heads, L, S).
    Gives (batch, L, heads, d).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float, p: float
    ) -> Tensor:
        batch, heads, length, _ = query.shape
        q, k, v = (each.flatten(0, 1) for each in (query, key, value))
        scores = _product(q, k.transpose(1, 2), scale)
        if bias is not None:
            scores.view(batch, heads, length, -1).add_(bias)
        weights = torch.softmax(scores, dim=-1)
        mask = kept(weights.shape, p)
        ctx.save_for_backward(q, k, v, weights, mask)
        ctx.scale, ctx.shapes = scale, (query.shape, key.shape, value.shape)
        return torch.bmm(weights * mask, v).view(batch, heads, length, -1).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, mask = ctx.saved_tensors
        gradient = gradients[0].transpose(1, 2).flatten(0, 1)
        to_value = torch.bmm((weights * mask).transpose(1, 2), gradient)
        to_weights = torch.bmm(gradient, v.transpose(1, 2)).mul_(mask)
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        to_query = _product(to_scores, k, ctx.scale)
        to_key = _product(to_scores.transpose(1, 2), q, ctx.scale)
        to_all = (to_query, to_key, to_value)
        return (*(each.view(shape) for each, shape in zip(to_all, ctx.shapes, strict=True)), None, None, None)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """An attention function of transformers' interface: (batch, L, heads, d) out of query (batch, heads, L, d), and no weights.

    `attention_mask`: None, true where a query may look, or added to the scores; (batch, 1 or heads, 1 or L, S).
    """
    learned = others.get("position_bias") is not None or (
        attention_mask is not None and attention_mask.requires_grad
    )
    plain = query.device.type == "cpu" and query.dtype == torch.float32 and others.get("cache") is None
    if dropout == 0.0 or learned or not plain:
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **others
        )
        return found
    groups = int(getattr(module, "num_key_value_groups", 1))
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    length, seen = query.shape[2], key.shape[2]
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and causal and length > 1:
        attention_mask = torch.ones(length, seen, dtype=torch.bool).tril()
    bias = attention_mask
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        # The lowest number, not minus infinity: a query that may look nowhere (in padding) must not become NaN.
        bias = torch.zeros(attention_mask.shape).masked_fill_(~attention_mask, torch.finfo(torch.float32).min)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    result: Tensor = Attend.apply(query, key, value, bias, scale, dropout)  # type: ignore[no-untyped-call]
    return result.contiguous(), None


def register() -> None:
    """Makes `attention` known to transformers by NAME, with the masks of "sdpa"."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale · left @ right, batched, without a pass for the scale."""
    return torch.baddbmm(left.new_empty(1, 1, 1), left, right, beta=0, alpha=scale)
