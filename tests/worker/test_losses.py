"""The losses against torch's own, by hand, and the weight of a text that is read in windows."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tests.worker.conftest import Case
from worker.encode import Encoded
from worker.losses import BinaryCrossEntropy, CrossEntropy, SquaredError

CPU = torch.device("cpu")
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-1.0, 3.0, 0.0]])
TRUTH = np.array([0, 2, 0])


def encoded(owner: list[int] | None = None, rows: int = 3) -> Encoded:
    return Encoded(
        ids=np.arange(rows, dtype=np.int32),
        offsets=np.arange(rows + 1),
        lengths=np.ones(rows, dtype=np.int32),
        truncated=np.zeros(0, dtype=np.int64),
        owner=None if owner is None else np.array(owner),
    )


class Fixed(nn.Module):
    """Gives the logits that its input ids name."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.given = logits

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> "Fixed":
        self.logits = self.given[input_ids[:, 0]]
        return self


def total(objective: CrossEntropy | BinaryCrossEntropy | SquaredError, logits: torch.Tensor) -> float:
    """What the loop would call the loss of one step with all rows."""
    rows = np.arange(len(objective.lengths))
    loss = objective.loss(Fixed(logits), objective.batch(rows, CPU))
    return loss.item() / objective.weight(rows)


def test_cross_entropy_is_torchs() -> None:
    truth, weights = torch.from_numpy(TRUTH), (1.0, 2.0, 4.0)
    weighted = cross_entropy(LOGITS, truth, weight=torch.tensor(weights))
    smoothed = cross_entropy(LOGITS, truth, label_smoothing=0.1)
    assert total(CrossEntropy(encoded(), TRUTH, 0, weights), LOGITS) == pytest.approx(
        weighted.item(), rel=1e-6
    )
    assert total(CrossEntropy(encoded(), TRUTH, 0, None, 0.1), LOGITS) == pytest.approx(
        smoothed.item(), rel=1e-6
    )


def test_focal_loss_by_hand() -> None:
    shares = LOGITS.softmax(1)[torch.arange(3), torch.from_numpy(TRUTH)]
    alpha = torch.tensor([1.0, 1.0, 3.0])[torch.from_numpy(TRUTH)]
    expected = (-alpha * (1 - shares) ** 2 * shares.log()).sum() / alpha.sum()
    objective = CrossEntropy(encoded(), TRUTH, 0, (1.0, 1.0, 3.0), focal_gamma=2.0)
    assert total(objective, LOGITS) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_of_a_row_that_is_certain_has_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0]], requires_grad=True)
    objective = CrossEntropy(encoded(rows=2), np.array([0, 0]), 0, focal_gamma=gamma)
    objective.each(logits, torch.tensor([0, 0])).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_a_text_of_three_windows_weighs_as_much_as_one_of_one() -> None:
    windows = torch.cat([LOGITS[[0]], LOGITS[[1, 1, 1]]])
    objective = CrossEntropy(encoded([0, 1, 1, 1], 4), np.array([0, 2]), 0)
    both = cross_entropy(LOGITS[:2], torch.tensor([0, 2]))
    assert total(objective, windows) == pytest.approx(both.item(), rel=1e-6)
    assert objective.weight(np.array([1, 2, 3])) == pytest.approx(1.0)
    weighted = CrossEntropy(encoded([0, 1, 1, 1], 4), np.array([0, 2]), 0, (1.0, 1.0, 5.0))
    assert weighted.weight(np.array([0, 1])) == pytest.approx(1 + 5 / 3)


def test_binary_cross_entropy_is_the_mean_over_labels_and_weighs_what_is_there() -> None:
    truth = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype=np.float32)
    weight = torch.tensor([3.0, 1.0, 2.0])
    expected = nn.BCEWithLogitsLoss(pos_weight=weight)(LOGITS, torch.from_numpy(truth))
    objective = BinaryCrossEntropy(encoded(), truth, 0, np.array([3.0, 1.0, 2.0]))
    assert total(objective, LOGITS) == pytest.approx(expected.item(), rel=1e-6)


def test_squared_error_is_that_of_the_one_output() -> None:
    objective = SquaredError(encoded(), np.array([1.0, 0.1, -3.0], dtype=np.float32), 0)
    assert total(objective, LOGITS[:, :1]) == pytest.approx((1 + 0 + 4) / 3)


def test_a_batch_has_its_rows_truth(case: Callable[..., Case]) -> None:
    loaded = case("bert", rows=8)
    objective = CrossEntropy(loaded.data, loaded.truth, 0)
    batch = objective.batch(np.array([5, 2]), CPU)
    assert batch["labels"].tolist() == loaded.truth[[5, 2]].tolist()
    assert "shares" not in batch
