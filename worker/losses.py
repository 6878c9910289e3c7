"""The objectives of the tasks whose model gives one row of numbers for a text: what the loop minimises."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from worker.batches import collate
from worker.encode import Encoded
from worker.tasks.base import Rows


class SequenceLoss(ABC):
    """A loss of each row of `data` against `truth` (texts, …), one value a text.

    A window counts for its share of its text (1/k), so that within a step a book of 200 windows weighs no more than
    the letter beside it. (Each window as one row would let long texts decide; as one row of all its windows a long
    text would not fit the memory.)
    """

    by_tokens = False

    def __init__(
        self,
        data: Encoded,
        truth: npt.NDArray[Any],
        padding: int,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """`padding`: the id that fills up a batch. `weights`: (texts,), what each text counts for; None: 1."""
        self.data, self.padding = data, padding
        owner, shares = data.owner, data.shares
        self.truth = truth if owner is None else truth[owner]
        self.row_weights = (
            np.ones(len(data)) if weights is None else weights if owner is None else weights[owner]
        )
        self.shares: Tensor | None = None
        if shares is not None:
            self.row_weights = self.row_weights * shares
            self.shares = torch.from_numpy(shares.astype(np.float32))

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        return self.data.lengths

    def weight(self, rows: Rows) -> float:
        return float(self.row_weights[rows].sum())

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        batch = collate(self.data, rows, self.padding, device, self.truth)
        if self.shares is not None:
            batch["shares"] = self.shares[torch.from_numpy(rows)].to(device)
        return batch

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        truth, shares = batch.pop("labels"), batch.pop("shares", None)
        each = self.each(model(**batch).logits.float(), truth)
        return each.sum() if shares is None else (each * shares).sum()

    @abstractmethod
    def each(self, logits: Tensor, truth: Tensor) -> Tensor:
        """The loss of each row, (rows,), out of float32 or float64 logits (rows, outputs), in their type."""


class CrossEntropy(SequenceLoss):
    """Cross-entropy with class weights and label smoothing, as torch defines them; `truth`: int64 class numbers.

    `focal_gamma`: focal loss instead, (1 - p)^gamma times the cross-entropy, p being the probability of the true class;
    with class weights as its alpha (Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5).
    """

    def __init__(
        self,
        data: Encoded,
        truth: npt.NDArray[np.int64],
        padding: int,
        class_weights: tuple[float, ...] | None = None,
        label_smoothing: float = 0.0,
        device: torch.device | None = None,
        focal_gamma: float | None = None,
    ) -> None:
        super().__init__(
            data, truth, padding, None if class_weights is None else np.asarray(class_weights)[truth]
        )
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma
        self.class_weights: Tensor | None = None
        if class_weights is not None:
            self.class_weights = torch.tensor(class_weights, dtype=torch.float32, device=device)

    def each(self, logits: Tensor, truth: Tensor) -> Tensor:
        losses = cross_entropy(
            logits,
            truth,
            weight=None if self.class_weights is None else self.class_weights.to(logits),
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        if self.focal_gamma is None:
            return losses
        # expm1: of a class that is nearly certain 1 - p would be nothing but rounding. The clamp keeps the gradient of
        # a power below 1 finite where p is 1.
        miss = -torch.expm1(-cross_entropy(logits, truth, reduction="none"))
        return miss.clamp_min(1e-12) ** self.focal_gamma * losses


class BinaryCrossEntropy(SequenceLoss):
    """The mean over the labels of each one's cross-entropy; `truth`: float32 (texts, labels) of 0 and 1.

    `positive_weights`: what a label that is there counts for, one a label (torch's pos_weight).
    """

    def __init__(
        self,
        data: Encoded,
        truth: npt.NDArray[np.float32],
        padding: int,
        positive_weights: npt.NDArray[np.float64] | None = None,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(data, truth, padding)
        self.positive_weights: Tensor | None = None
        if positive_weights is not None:
            self.positive_weights = torch.tensor(positive_weights, dtype=torch.float32, device=device)

    def each(self, logits: Tensor, truth: Tensor) -> Tensor:
        losses = binary_cross_entropy_with_logits(
            logits,
            truth.to(logits),
            pos_weight=None if self.positive_weights is None else self.positive_weights.to(logits),
            reduction="none",
        )
        return losses.mean(dim=1)


class SquaredError(SequenceLoss):
    """The squared distance of the one output from `truth`, float32 (texts,)."""

    def each(self, logits: Tensor, truth: Tensor) -> Tensor:
        return mse_loss(logits[:, 0], truth.to(logits), reduction="none")
