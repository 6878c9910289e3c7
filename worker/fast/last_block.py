"""The last block of an encoder that classifies by its first token, computed for that token alone.

The head of these classes reads the last block's output at one place. All other places of it go nowhere and get no gradient, so
their queries, their feed-forward and their norms are left out; keys and values are those of all tokens, as ever. Outputs and
gradients are the same numbers (but for rounding): of a six-block BERT a seventh of the multiplications falls away.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


def _bert(
    layer: Any, hidden: Tensor, attention_mask: Tensor | None = None, *unused: Any, **others: Any
) -> Tensor:
    core, first = layer.attention.self, hidden[:, :1]
    found = _attend(core, (core.query, core.key, core.value), first, hidden, attention_mask)
    result: Tensor = layer.feed_forward_chunk(layer.attention.output(found, first))
    return result


def _distilbert(
    layer: Any, hidden: Tensor, attention_mask: Tensor | None = None, *unused: Any, **others: Any
) -> Tensor:
    core, first = layer.attention, hidden[:, :1]
    found = _attend(core, (core.q_lin, core.k_lin, core.v_lin), first, hidden, attention_mask)
    middle = layer.sa_layer_norm(core.out_lin(found) + first)
    result: Tensor = layer.output_layer_norm(layer.ffn(middle) + middle)
    return result


def _mpnet(
    layer: Any,
    hidden: Tensor,
    attention_mask: Tensor | None = None,
    position_bias: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor]:
    core, first = layer.attention.attn, hidden[:, :1]
    q, k, v = (
        linear(x).unflatten(-1, (core.num_attention_heads, -1)).transpose(1, 2)
        for linear, x in ((core.q, first), (core.k, hidden), (core.v, hidden))
    )
    scores = torch.matmul(q, k.transpose(-1, -2)) * core.attention_head_size**-0.5
    for bias in (position_bias, attention_mask):
        if bias is not None:
            scores = scores + bias[:, :, :1]
    weights = core.dropout(torch.softmax(scores, dim=-1))
    found = core.o(torch.matmul(weights, v).transpose(1, 2).flatten(2))
    middle = layer.attention.LayerNorm(layer.attention.dropout(found) + first)
    return (layer.output(layer.intermediate(middle), middle),)


def _attend(
    core: Any, linears: tuple[nn.Module, ...], first: Tensor, hidden: Tensor, mask: Tensor | None
) -> Tensor:
    """What the first token (batch, 1, width) finds in all of `hidden` (batch, tokens, width): (batch, 1, width)."""
    query, key, value = (
        linear(x).unflatten(-1, (-1, core.attention_head_size)).transpose(1, 2)
        for linear, x in zip(linears, (first, hidden, hidden), strict=True)
    )
    attend: Callable[..., tuple[Tensor, Any]] = ALL_ATTENTION_FUNCTIONS.get_interface(
        core.config._attn_implementation, sdpa_attention_forward
    )
    found, _ = attend(
        core,
        query,
        key,
        value,
        mask if mask is None else mask[:, :, :1],
        dropout=core.dropout.p if core.training else 0.0,
        scaling=core.scaling,
        is_causal=False,
    )
    return found.flatten(2)


# Class of the whole model → the path of its blocks and the block for one token. A class is here only if its head reads
# the first token of the last block and nothing else of it.
CLASSES: dict[str, tuple[str, Callable[..., Any]]] = {
    "BertForSequenceClassification": ("bert.encoder.layer", _bert),
    "RobertaForSequenceClassification": ("roberta.encoder.layer", _bert),
    "XLMRobertaForSequenceClassification": ("roberta.encoder.layer", _bert),
    "CamembertForSequenceClassification": ("roberta.encoder.layer", _bert),
    "ElectraForSequenceClassification": ("electra.encoder.layer", _bert),
    "DistilBertForSequenceClassification": ("distilbert.transformer.layer", _distilbert),
    "MPNetForSequenceClassification": ("mpnet.encoder.layer", _mpnet),
}


@contextmanager
def shortened(model: nn.Module) -> Iterator[bool]:
    """Inside, the last block of `model` has the forward for one token, on this object alone. Gives False for a class that is
    not in CLASSES, and where somebody else has replaced the block's forward (worker/transfer/boundary.py): it stays as it is."""
    found = CLASSES.get(type(model).__name__)
    if found is None or getattr(model.config, "is_decoder", False):
        yield False
        return
    path, forward = found
    block: Any = model.get_submodule(path)[-1]  # type: ignore[index]
    if "forward" in vars(block):
        yield False
        return
    block.forward = MethodType(forward, block)
    try:
        yield True
    finally:
        del block.forward
