"""A head with a hidden layer, made to pass its input on: what is fitted above it is then linear in a token's vector.

    logits = V · act(D h + d) + v        h: the first token's vector (of a few classes the mean of the tokens)

A class of transformers reads a text through a layer with an activation before its last one, and a download has to be of that
class. So D and d are set such that act(D h + d) is h to within rounding, and V is fitted above them. Which of the ways below
does it is tried, not looked up: a class counts as linear if its last layer is seen to read h.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from worker.transfer.pooling import Reader, Seen, mean_of

# tanh(x / 1024) is x / 1024 to within a millionth, and a power of two scales without rounding. No smaller: the last layer's
# weights are larger by this much, and should still fit float16.
SCALE = 2.0**-10
# ReLU passes on what is above zero, GELU what is far above it. No larger than it must be: it costs the sum its last digits.
SHIFTS = (0.0, 8.0)
CLOSE = 1e-3  # of the largest entry

Target = Literal["cls", "mean"]


def linearise(
    model: Any, reader: Reader, batch: dict[str, Tensor], target: Target, *, told: bool = False
) -> bool:
    """Makes `reader.layer` read the `target` vector of a text, in place; False if the class can't, and the weights stay.

    `batch`: rows of the training part, on which it is tried; an activation is shifted by twice the largest entries there.
    `told`: a class whose config says which vector its head reads (ModernBERT) is told `target`, whether linear or not.
    """
    if told and model.config.model_type == "modernbert":
        model.config.classifier_pooling = target
    if _reads(reader, batch, target, _as_it_is):
        return True
    dense = _hidden_layer(model, reader.layer)
    if dense is None:
        return False
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    with torch.no_grad():
        dense.weight.copy_(torch.eye(dense.in_features) * SCALE)
        if dense.bias is not None:
            dense.bias.zero_()
    if _reads(reader, batch, target, lambda own: own / SCALE):
        return True
    if dense.bias is not None:
        wanted = _wanted(reader.see(batch), batch, target)
        for least in SHIFTS:
            shift = (2 * wanted.abs().amax(0)).clamp_min(least)
            with torch.no_grad():
                dense.weight.copy_(torch.eye(dense.in_features))
                dense.bias.copy_(shift)
            if _reads(reader, batch, target, lambda own, shift=shift: own - shift):  # type: ignore[misc]
                return True
    dense.load_state_dict(before)
    return False


def _hidden_layer(model: Any, last: nn.Linear) -> nn.Linear | None:
    """The one square layer between trunk and last layer: in the head, or the trunk's pooler."""
    trunk = model.base_model
    above = [
        module for name, child in model.named_children() if child is not trunk for module in child.modules()
    ]
    poolers = [module for name, module in trunk.named_modules() if "pooler" in name]
    found = {
        id(module): module
        for module in (*above, *poolers)
        if isinstance(module, nn.Linear) and module is not last and module.in_features == module.out_features
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _wanted(seen: Seen, batch: dict[str, Tensor], target: Target) -> Tensor:
    return seen.hidden[:, 0] if target == "cls" else mean_of(seen.hidden, batch)


def _reads(
    reader: Reader, batch: dict[str, Tensor], target: Target, undo: Callable[[Tensor], Tensor]
) -> bool:
    seen = reader.see(batch)
    wanted = _wanted(seen, batch, target)
    if seen.own.shape != wanted.shape:
        return False
    return bool((undo(seen.own) - wanted).abs().max() <= CLOSE * wanted.abs().max())


def _as_it_is(own: Tensor) -> Tensor:
    return own
