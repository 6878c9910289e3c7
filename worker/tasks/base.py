"""The half of a task that needs torch: how its model is loaded, what it minimises, how it is measured, how it answers.

The other half, torch-free, has the same file name under app/tasks/.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.spec import RunSpec
from app.tasks.examples import Examples
from worker.encode import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Rows = npt.NDArray[np.int64]


class Objective(Protocol):
    """What the loop minimises: it makes batches out of row numbers and gives their loss."""

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens of each training row."""
        ...

    def weight(self, rows: Rows) -> float:
        """What the summed loss of `rows` is divided by: their number, their class weights, their tokens."""
        ...

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        """The padded inputs of `rows` on `device`, and what `loss` compares with."""
        ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The summed loss (nats) of one batch, a scalar with a gradient."""
        ...


@dataclass(frozen=True)
class Part:
    """One part of the data, ready for the model. `truth`: int64 (rows,), the class numbers."""

    examples: Examples
    encoded: Encoded
    truth: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """How good the model is on the held-out part. `baselines`: {name: the same metrics}; `results`: for the page."""

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    results: dict[str, Any]


class TorchTask(Protocol):
    """One run's task. Made from the spec, the examples of all parts and the device."""

    labels: list[str]

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None: ...

    def load(self, folder: Path) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """The model with its head, float32 on the CPU, and its tokenizer. Raises Invalid of kind "model"."""
        ...

    def encode(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        examples: Examples,
        progress: Callable[[int, int], None],
    ) -> Part: ...

    def objective(self, model: nn.Module, train: Part) -> Objective: ...

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        """The scores of an evaluation while it trains: "loss" and the task's primary score among them."""
        ...

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        """Metrics on the held-out part, for the model and for baselines that saw the same training rows."""
        ...

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        """A sentence for the user after a training that ended at this smoothed loss, or None. `best`: best scores."""
        ...

    @staticmethod
    def answer(model: Any, tokenizer: Any, max_length: int, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """One output per input, in order: the predict answer of the public interface."""
        ...
