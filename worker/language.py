"""Losses of language models, causal or masked: which tokens are predicted, and how badly.

Both kinds come down to Targets: at these places of a batch the model has to say these tokens. Only there the head is
computed, for it costs as much as the layers below it (a small encoder) or more memory than all the rest (a large vocabulary).
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from app.core.errors import Invalid
from worker.backbone import pad_id, text_config
from worker.batches import collate, eval_batches
from worker.encode import Encoded
from worker.memory import in_parts
from worker.tasks.base import Rows, Tell

MOST_ROWS = 64  # of an evaluation's batch
MOST_LOGITS = 2**26  # of an evaluation's batch, were all its tokens predicted: 256 MB

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """n tokens to be predicted in a batch: from the output at (`rows`, `columns`) the token `truth`; int64 (n,) each.
    `shown`: what the model reads at those places instead of what stands there; None: the batch as it is."""

    rows: Integers
    columns: Integers
    truth: Integers
    shown: Integers | None = None


class Language(Protocol):
    """Encoded rows with what is to be predicted in them."""

    @property
    def data(self) -> Encoded: ...

    @property
    def counts(self) -> Integers:
        """int64 (n,): the tokens of each row that the training loss is shared among."""
        ...

    def targets(self, rows: Rows, generator: np.random.Generator | None) -> Targets:
        """Of a batch made of `rows`. Random choices come from `generator`; without one they are those of the evaluation,
        the same each time."""
        ...


class Causal:
    """Each token is predicted from those before it. `learn`: bool, one for each token of `data`: whether it counts; the
    first of a row never does, since nothing stands before it."""

    def __init__(self, data: Encoded, learn: npt.NDArray[np.bool_]) -> None:
        self.data = data
        self.learn = learn.copy()
        self.learn[data.offsets[:-1]] = False
        self.counts: Integers = np.add.reduceat(self.learn, data.offsets[:-1], dtype=np.int64)

    def targets(self, rows: Rows, generator: np.random.Generator | None) -> Targets:
        found = []
        for place, row in enumerate(rows):
            begin, end = self.data.offsets[row], self.data.offsets[row + 1]
            at = np.flatnonzero(self.learn[begin:end])
            found.append((np.full(len(at), place), at - 1, self.data.ids[begin + at]))
        return Targets(*(np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True)))


class LanguageLoss:
    """The objective: the cross-entropy of the predicted tokens. `padding`: the id that fills up a batch; it is told from the
    text by its place, never by its id, which may be that of the end of text."""

    by_tokens = True

    def __init__(self, language: Language, padding: int) -> None:
        self.language, self.padding = language, padding

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        return self.language.data.lengths

    def weight(self, rows: Rows) -> float:
        return float(self.language.counts[rows].sum())

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        batch = collate(self.language.data, rows, self.padding, device)
        batch["rows"] = torch.from_numpy(rows)
        return batch

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        rows = batch.pop("rows").numpy()
        # The loop has just seeded torch with the step: a resume draws the same.
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        targets = self.language.targets(rows, generator)
        total = token_losses(model, batch, targets).sum()
        # Whole words can't always make up the number of tokens that `weight` counts on.
        return total * (self.weight(rows) / len(targets.truth))


def token_losses(model: nn.Module, inputs: dict[str, Tensor], targets: Targets) -> Tensor:
    """float32 (n,): the loss in nats of each target; `inputs`: what the model reads."""
    device = inputs["input_ids"].device
    where = tuple(torch.from_numpy(one).to(device) for one in (targets.rows, targets.columns))
    if targets.shown is not None:
        shown = torch.from_numpy(targets.shown).to(device)
        inputs = {**inputs, "input_ids": inputs["input_ids"].index_put(where, shown)}
    truth = torch.from_numpy(targets.truth).to(device)
    return cross_entropy(logits_at(model, inputs, where).float(), truth, reduction="none")


def logits_at(model: Any, inputs: dict[str, Tensor], where: tuple[Tensor, ...]) -> Tensor:
    """(n, vocabulary): the model's logits at the places `where` = (rows, columns) of the batch.

    The hidden states are picked between trunk and head, so that the head works on these places alone; every head of a
    language model looks at one place at a time.
    """

    def pick(_module: nn.Module, _args: Any, output: Any) -> Any:
        output["last_hidden_state"] = output["last_hidden_state"][where].unsqueeze(0)
        return output

    hook = model.base_model.register_forward_hook(pick)
    try:
        logits: Tensor = model(**inputs).logits
    finally:
        hook.remove()
    return logits.squeeze(0)


def row_losses(
    model: nn.Module, language: Language, device: torch.device, tell: Tell = lambda _done, _total: None
) -> tuple[npt.NDArray[np.float64], Integers]:
    """Per row the summed loss in nats (float64) and the number of tokens it is the sum of; without dropout, in float32.

    The model's mode is put back.
    """
    data, padding = language.data, pad_id(model)
    sums = np.zeros(len(data), dtype=np.float64)
    counts = np.zeros(len(data), dtype=np.int64)
    widest = int(data.lengths.max(initial=1)) * int(text_config(model).vocab_size)
    training = model.training

    def measure(rows: Rows) -> None:
        targets = language.targets(rows, None)
        losses = token_losses(model, collate(data, rows, padding, device), targets)
        found = losses.double().cpu().numpy()
        sums[rows] = np.bincount(targets.rows, weights=found, minlength=len(rows))
        counts[rows] = np.bincount(targets.rows, minlength=len(rows))

    model.eval()
    try:
        with torch.inference_mode():
            for rows in eval_batches(data.lengths, max(1, min(MOST_ROWS, MOST_LOGITS // widest))):
                in_parts(measure, rows)
                tell(int(np.count_nonzero(counts)), len(data))
    finally:
        model.train(training)
    return sums, counts


def mean_loss(sums: npt.NDArray[np.float64], counts: Integers) -> float:
    """Nats per token. Raises Invalid (kind "training") if it is no number."""
    mean = float(sums.sum() / max(1, counts.sum()))
    if not math.isfinite(mean):
        raise Invalid(
            "The model's losses are not numbers: the training diverged. Try a lower learning rate.",
            kind="training",
        )
    return mean


def perplexity(loss: float) -> float:
    """exp(nats per token): of how many equally likely tokens it is worth. Never infinite, for JSON."""
    return math.exp(min(loss, 700.0))
