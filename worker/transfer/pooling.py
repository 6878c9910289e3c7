"""What a frozen trunk says of each text or word, read once: the input of the head's last layer, and the mean of the tokens."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.errors import Invalid
from worker.backbone import pad_id, text_config
from worker.batches import collate, eval_batches
from worker.encode import Encoded
from worker.tasks.base import HeadTask, Part, Rows, Tell
from worker.transfer.blocks import stack_of
from worker.transfer.cache import Cache
from worker.transfer.fingerprint import fingerprint

BATCH = 64  # rows of a canonical batch: as the tasks evaluate

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """float32 (rows or words, width), in the order of the rows. `own`: what the last layer reads. `mean`: the mean of a
    row's token vectors, padding left out; None where it was not asked for. `known`: computed by an earlier pass."""

    own: Floats
    mean: Floats | None
    known: bool = False


@dataclass
class Seen:
    """Of one pass: `own` and `hidden` are the input of the last layer and the output of the trunk."""

    own: Tensor
    hidden: Tensor
    logits: Tensor


class Reader:
    """Reads a model up to its last layer, in evaluation mode and in the canonical batches, without a gradient.

    `cache`: where what it reads is kept for later passes and runs, whatever head they fit; None: nowhere.
    """

    def __init__(
        self, model: Any, layer: nn.Linear, task: HeadTask, device: torch.device, cache: Cache | None = None
    ) -> None:
        self.model, self.layer, self.task, self.device, self.cache = model, layer, task, device, cache
        self.padding = pad_id(model)
        self.reduce: Callable[[Tensor, dict[str, Tensor]], Tensor] | None = None

    def features(self, part: Part, *, mean: bool = False, tell: Tell | None = None) -> Features:
        """Of all rows of `part`, which are windows where it has windows. `tell(done, total)` after each batch.

        Raises Invalid of kind "model" for a class that makes something else of its last layer's output.
        """
        count = len(part.encoded)
        marks = self.task.marks(part, np.arange(count)) if count else None
        shape = count if marks is None else len(marks[2]), self.layer.in_features
        if self.cache is None or not count:
            return self._computed(part, shape, mean, tell)
        own, means = self._keys(part.encoded, marks)
        with self.cache as cache:
            found = cache.find(own, shape)
            pooled = cache.find(means, (count, text_config(self.model).hidden_size)) if mean else None
            if found is not None and (pooled is not None or not mean):
                return Features(np.array(found), None if pooled is None else np.array(pooled), known=True)
            read = self._computed(part, shape, mean, tell)
            for key, array in ((own, read.own), (means, read.mean)):
                if array is not None and cache.make_room(array.nbytes):
                    with suppress(OSError), cache.draft(key, (array.shape[0], array.shape[1])) as kept:
                        kept[:] = array
        return read

    def _computed(self, part: Part, shape: tuple[int, int], mean: bool, tell: Tell | None) -> Features:
        encoded, own = part.encoded, np.empty(shape, dtype=np.float32)
        batches = eval_batches(encoded.lengths, BATCH)
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
                means = (
                    np.empty((len(encoded), pooled.shape[1]), dtype=np.float32) if means is None else means
                )
                means[rows] = pooled
            if tell is not None:
                tell(done, len(batches))
        return Features(own, means)

    def _keys(self, encoded: Encoded, marks: tuple[Any, ...] | None) -> tuple[str, str]:
        """Of what the last layer reads, and of the mean, which depends on nothing above the trunk."""
        trunk, between = self._fingerprints
        arrays = encoded.ids, encoded.offsets, encoded.token_type_ids, *(marks or ())

        def key(said: dict[str, Any]) -> str:
            digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
            for values in arrays:
                digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
            return digest.hexdigest()

        said = trunk | {"class": type(self.model).__name__, "batch": BATCH, "padding": self.padding}
        return key(said | {"read by": "the last layer", "between": between}), key(
            said | {"read by": "the mean"}
        )

    @cached_property
    def _fingerprints(self) -> tuple[dict[str, Any], str]:
        """Of the trunk, and of the weights between it and the last layer; none of them changes once it is read."""
        stack = stack_of(self.model)
        last = {id(parameter) for parameter in self.layer.parameters()}
        parameters = dict(self.model.named_parameters())
        head = set(stack.of(stack.top))
        between = {name for name in head if id(parameters[name]) not in last}
        below = (parameters.keys() - head) | dict(self.model.named_buffers()).keys()
        return (
            fingerprint(self.model, below, self.device),
            str(fingerprint(self.model, between, self.device)["weights"]),
        )

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
