"""What a frozen trunk says of each text or word, read once: the input of the head's last layer, and the mean of the tokens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.errors import Invalid
from worker.backbone import pad_id
from worker.batches import collate, eval_batches
from worker.encode import Encoded
from worker.tasks.base import HeadTask, Part, Rows, Tell

BATCH = 64  # rows of a canonical batch: as the tasks evaluate

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """float32 (rows or words, width), in the order of the rows. `own`: what the last layer reads. `mean`: the mean of a
    row's token vectors, padding left out; None where it was not asked for."""

    own: Floats
    mean: Floats | None


@dataclass
class Seen:
    """Of one pass: `own` and `hidden` are the input of the last layer and the output of the trunk."""

    own: Tensor
    hidden: Tensor
    logits: Tensor


class Reader:
    """Reads a model up to its last layer, in evaluation mode and in the canonical batches, without a gradient."""

    def __init__(self, model: Any, layer: nn.Linear, task: HeadTask, device: torch.device) -> None:
        self.model, self.layer, self.task, self.device = model, layer, task, device
        self.padding = pad_id(model)
        self.reduce: Callable[[Tensor, dict[str, Tensor]], Tensor] | None = None

    def features(self, part: Part, *, mean: bool = False, tell: Tell | None = None) -> Features:
        """Of all rows of `part`, which are windows where it has windows. `tell(done, total)` after each batch.

        Raises Invalid of kind "model" for a class that makes something else of its last layer's output.
        """
        encoded = part.encoded
        width, count = self.layer.in_features, len(encoded)
        batches = eval_batches(encoded.lengths, BATCH)
        marks = self.task.marks(part, np.arange(count)) if count else None
        own = np.empty((count if marks is None else len(marks[2]), width), dtype=np.float32)
        means: Floats | None = None
        for done, rows in enumerate(batches, 1):
            batch = self.batch(encoded, rows)
            seen = self.see(batch)
            places = self.task.marks(part, rows)
            if places is None:
                own[rows] = self.one_a_row(seen, batch).cpu().numpy()
            else:
                lines, columns, at = places
                own[at] = seen.own[torch.from_numpy(lines), torch.from_numpy(columns)].cpu().numpy()
            if mean:
                pooled = mean_of(seen.hidden, batch).cpu().numpy()
                means = np.empty((count, pooled.shape[1]), dtype=np.float32) if means is None else means
                means[rows] = pooled
            if tell is not None:
                tell(done, len(batches))
        return Features(own, means)

    def batch(self, encoded: Encoded, rows: Rows) -> dict[str, Tensor]:
        return collate(encoded, rows, self.padding, self.device)

    def see(self, batch: dict[str, Tensor]) -> Seen:
        found: dict[str, Tensor] = {}
        with torch.inference_mode(), _evaluating(self.model):
            hooks = [
                self.layer.register_forward_pre_hook(lambda _, inputs: found.update(own=inputs[0].float())),
                self.model.base_model.register_forward_hook(
                    lambda _, __, output: found.update(hidden=output[0].float())
                ),
            ]
            try:
                logits = self.model(**batch).logits
            finally:
                for hook in hooks:
                    hook.remove()
        return Seen(found["own"], found["hidden"], logits)

    def one_a_row(self, seen: Seen, batch: dict[str, Tensor]) -> Tensor:
        """The row's vector out of what the last layer reads: a class may give it each token and choose afterwards."""
        if self.reduce is None:
            with torch.inference_mode():
                for way in (_whole, self._last, mean_of):
                    pooled = way(seen.own, batch)
                    logits = self.layer(pooled)
                    if logits.shape == seen.logits.shape and torch.allclose(
                        logits, seen.logits, rtol=1e-3, atol=1e-3 * float(seen.logits.abs().max())
                    ):
                        self.reduce = way
                        break
                else:
                    raise Invalid(
                        f"The head of {type(self.model).__name__} can't be fitted to convergence: its outputs are no linear "
                        'function of what it reads of a text. Choose "fit": "epochs".',
                        kind="model",
                    )
        return self.reduce(seen.own, batch)

    def _last(self, own: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The rightmost token whose id is not the padding's, as transformers' decoders choose."""
        if own.dim() != 3:
            return own
        ids = batch["input_ids"]
        places = torch.arange(ids.shape[1], device=ids.device) * (ids != self.padding)
        return own[torch.arange(len(ids), device=ids.device), places.argmax(-1)]


def of_texts(logits: Floats, part: Part) -> Floats:
    """The logits of texts out of those of their windows: the mean."""
    owner = part.encoded.owner
    if owner is None or not len(logits):
        return logits
    sums = np.add.reduceat(logits, np.flatnonzero(np.diff(owner, prepend=-1)), axis=0)
    means: Floats = np.divide(sums, np.bincount(owner)[:, None], dtype=np.float32)
    return means


def mean_of(hidden: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean over a row's tokens, special ones included, as sentence-transformers takes it."""
    if hidden.dim() != 3:
        return hidden
    mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
    assert hidden.shape[1] == mask.shape[1], "the trunk gives not all tokens"
    return (hidden * mask).sum(1) / mask.sum(1)


def _whole(own: Tensor, batch: dict[str, Tensor]) -> Tensor:
    return own


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
