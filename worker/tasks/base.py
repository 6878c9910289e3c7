"""The half of a task that needs torch: how its model is loaded, what it minimises, how it is measured, how it answers.

The other half, torch-free, is in app/tasks/ and names this one (`Task.torch`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.spec import RunSpec
from app.tasks import task
from app.tasks.examples import Examples
from app.tasks.heldout import Prediction
from worker.encode import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from worker.replay import OwnTexts

__all__ = ["HeadTask", "Objective", "Outcome", "Part", "Prediction", "Rows", "Tell", "TorchTask"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
T = TypeVar("T")
Tell = Callable[[int, int], None]  # progress: done, total


class Objective(Protocol):
    """What the loop minimises: it makes batches out of row numbers and gives their loss.

    A row is what the loop counts: a text, or a window or a packed block of several. `by_tokens`: it is not the rows that
    weigh the same but their tokens; then batches are not made of rows of like length (worker/batches.py).
    """

    by_tokens: bool

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens of each training row."""
        ...

    def weight(self, rows: Rows) -> float:
        """What the summed loss of `rows` is divided by: their number, their class weights, their tokens."""
        ...

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        """The padded inputs of `rows` on `device`, and what `loss` compares with.

        Random choices (which tokens are masked) come from torch's generator, which the loop seeds before each call
        of `loss`, so they belong there; or from worker.seeds with the rows, never from what ran before.
        """
        ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The summed loss (nats) of one batch, a scalar with a gradient."""
        ...


@dataclass(frozen=True)
class Part:
    """One part of the data, ready for the model. `truth`: what the task compares with (class numbers, tag arrays …).
    `truncated`: examples that lose text."""

    examples: Examples
    encoded: Encoded
    truth: Any
    truncated: int = 0

    def tokens(self) -> list[int]:
        """What the model reads of each example; of one in windows those of all, where they overlap twice."""
        lengths, owner = self.encoded.lengths, self.encoded.owner
        read = lengths if owner is None else np.bincount(owner, weights=lengths)
        return [int(one) for one in read]


@dataclass(frozen=True)
class Outcome:
    """How good the model is on the held-out part. `metrics`: flat numbers by the names of Task.judged_by. `baselines`:
    {name: the same}; `results`: for the page, small; `predictions`: every held-out row."""

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    results: dict[str, Any]
    predictions: list[Prediction]

    def add(self, results: dict[str, Any]) -> None:
        """More results; their notes come after those that are there."""
        self.results.update(results, notes=[*self.results.get("notes", []), *results.get("notes", [])])


class TorchTask(ABC):
    """One run's task. Made from the spec, the examples of all parts and the device."""

    # Whether `before` is called, with all parts encoded before the training begins.
    looks_before: ClassVar[bool] = False
    # Whether the head is that of the pre-training: kept wherever a model brings it, whatever it did last.
    pretrained_head: ClassVar[bool] = False
    # What examples of more than max_length tokens lose.
    loses: ClassVar[str] = "their end"

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        self.spec, self.device = spec, device
        self.labels = task(spec.task).labels(examples)
        # Share of the steps in which a new head learns alone, so that it doesn't spoil what the trunk knows.
        self.head_start = 0.0
        # For what takes long in `judge` and `measure`: the trainer sees a cancel here.
        self.tell: Tell = lambda _done, _total: None
        self._rival: Any = None

    def rival(self, learn: Callable[[], T]) -> T:
        """What a baseline answers on the held-out rows: it learns once, however many models of a run are measured."""
        if self._rival is None:
            self._rival = learn()
        found: T = self._rival
        return found

    def head(self) -> list[str]:
        """The names of the head's outputs, as its config.json has them: by them a chain knows a head that fits."""
        return self.labels

    @property
    def rereads(self) -> bool:
        """Whether each epoch reads the very tokens of the parts, so that what a frozen part makes of them can be kept."""
        return True

    @abstractmethod
    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """The model with its head, float32 on the CPU, and its tokenizer. Raises Invalid of kind "model".

        `keep_head`: whether a head that the folder brings and that fits (the same labels) may be kept.
        """

    @abstractmethod
    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        """The examples as tokens; `progress` is called often, for it is where a cancel is seen."""

    @abstractmethod
    def objective(self, model: nn.Module, train: Part) -> Objective: ...

    def rehearse(self, train: Part, own: "OwnTexts") -> Part:
        """The training rows with those that the model wrote itself, where the task has the option `replay`."""
        raise NotImplementedError

    def before(self, model: nn.Module, validation: Part, test: Part) -> None:  # noqa: B027 (optional)
        """Measures the model before it learns anything, where `looks_before`."""

    @abstractmethod
    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        """The scores of an evaluation while it trains: "loss", the primary score, the curves of the page."""

    def samples(self, model: nn.Module, validation: Part) -> list[dict[str, str]]:
        """What the model writes now, for the page: [{"prompt", "text", "reference"}]; called after `judge`."""
        return []

    @abstractmethod
    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        """Figures of the held-out part, for the model and for baselines that saw the same training rows.

        Whatever is chosen (thresholds) is chosen on validation.
        """

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        """A sentence for the user after a training that ended at this smoothed loss, or None. `best`: best scores."""
        return None

    def card(self) -> list[str]:
        """Lines of the model card on what the figures don't tell."""
        return []

    def finish(self, model: Any, tokenizer: Any) -> None:  # noqa: B027 (optional)
        """The last change before the download is written: what was scaled in training is folded in."""

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        """The finished model and its tokenizer out of its download, for `answer`."""

    @classmethod
    @abstractmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """One output per input, in order: the predict answer of the public interface. Batches by itself."""


class HeadTask(TorchTask):
    """A task with a head of its own, whose last layer is linear: a row of logits for each text, or for each marked word."""

    @abstractmethod
    def logits(self, model: nn.Module, part: Part) -> Floats:
        """float32 (texts or words, outputs), without dropout."""

    @abstractmethod
    def judged(self, logits: Floats, part: Part) -> dict[str, float]:
        """The scores of `judge`, out of the logits of `part`."""

    @abstractmethod
    def figures(self, chosen_on: Floats, validation: Part, logits: Floats, test: Part) -> dict[str, float]:
        """The metrics of `measure`, out of the logits of the held-out part; what is chosen is chosen on validation's."""

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        return self.judged(self.logits(model, validation), validation)

    def marks(self, part: Part, rows: Rows) -> tuple[Rows, Rows, Rows] | None:
        """Where the logits of the encoded `rows` stand: the place in `rows`, the token in it, the place in `logits`. None: a
        row has one, and they stand in the rows' order."""
        return None

    def fold(self, layer: nn.Linear) -> None:
        """What `finish` does to the last layer."""
