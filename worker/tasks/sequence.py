"""What classification, multilabel, pair and score share: a sequence classification head, one row of logits a text."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn
from transformers import AutoModelForSequenceClassification

from app.core.spec import RunSpec
from app.tasks.examples import Examples
from app.tasks.long_texts import length_note
from app.tasks.multilabel import THRESHOLDS
from worker import evaluate
from worker.backbone import load_classifier, open_folder
from worker.encode import Encoded, encode
from worker.tasks.base import HeadTask, Part, Tell

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EVAL_BATCH = 64
ANSWER_BATCH = 32


class SequenceTask(HeadTask):
    """`problem`: transformers' problem_type, by which a plain pipeline knows what to make of the logits."""

    problem: ClassVar[str]

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer = load_classifier(
            folder, self.head(), self.spec.seed, keep_head, problem=self.problem
        )
        vars(model.config).pop(THRESHOLDS, None)  # those of a run that this one goes on from are not its own
        return model, tokenizer

    @abstractmethod
    def truth(self, examples: Examples) -> npt.NDArray[Any]:
        """What the logits are compared with, one value a text."""

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        encoded = self.tokens(tokenizer, self.spec, examples.values, progress)
        return Part(examples, encoded, self.truth(examples), len(encoded.truncated))

    def logits(self, model: nn.Module, part: Part) -> evaluate.Floats:
        return evaluate.logits(model, part.encoded, EVAL_BATCH, self.device, self.tell)

    def notes(self, *parts: Part) -> list[str]:
        """What the reader of the results has to know about all `parts`."""
        long = sum(_long(part.encoded) for part in parts)
        found = length_note(self.spec, long, sum(len(part.examples) for part in parts))
        return [found] if found else []

    @classmethod
    def tokens(
        cls,
        tokenizer: Any,
        spec: RunSpec,
        values: dict[str, list[Any]],
        progress: Tell | None = None,
    ) -> Encoded:
        """The texts of an example's roles in tokens: the same way in training, evaluation and answers."""
        assert spec.max_length is not None
        return encode(tokenizer, values["text"], spec.max_length, progress, truncation=spec.truncation)

    @classmethod
    def columns(cls, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """The roles of `tokens` out of the inputs of predict."""
        return {"text": list(inputs)}

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        return open_folder(folder, AutoModelForSequenceClassification)

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        encoded = cls.tokens(tokenizer, spec, cls.columns(inputs))
        return cls.outputs(model, evaluate.logits(model, encoded, ANSWER_BATCH, model.device))

    @classmethod
    @abstractmethod
    def outputs(cls, model: Any, logits: evaluate.Floats) -> list[dict[str, Any]]:
        """The answers, one for each row of logits."""


def names(model: Any) -> list[str]:
    """The labels of a finished model in the order of its outputs."""
    return [model.config.id2label[index] for index in range(model.config.num_labels)]


def _long(encoded: Encoded) -> int:
    """Texts that are longer than a row."""
    if encoded.owner is None:
        return len(encoded.truncated)
    return int((np.bincount(encoded.owner) > 1).sum()) if len(encoded) else 0
