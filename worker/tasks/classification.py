"""Classification, the half with torch: a sequence classification head, cross-entropy, probabilities."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification

from app.core.spec import RunSpec
from app.tasks.classification import Classification as FreeHalf
from app.tasks.examples import Examples
from worker import baselines, evaluate
from worker.advice import stalled
from worker.backbone import load_classifier, open_folder, pad_id
from worker.batches import collate
from worker.encode import Encoded, encode
from worker.tasks.base import Outcome, Part, Prediction, Rows, Tell, TorchTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EVAL_BATCH = 64
ANSWER_BATCH = 32


class Classification(TorchTask):
    free_half = FreeHalf()

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return load_classifier(folder, self.labels, self.spec.seed, keep_head)

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        assert self.spec.max_length is not None
        encoded = encode(tokenizer, examples.texts, self.spec.max_length, progress)
        number = {label: index for index, label in enumerate(self.labels)}
        truth = np.array([number[label] for label in examples.labels], dtype=np.int64)
        return Part(examples, encoded, truth, len(encoded.truncated))

    def objective(self, model: nn.Module, train: Part) -> "CrossEntropy":
        weights = None
        if self.spec.class_weights == "balanced":
            weights = balanced(train.truth, len(self.labels))
        return CrossEntropy(
            train.encoded, train.truth, pad_id(model), weights, self.spec.label_smoothing, self.device
        )

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        logits = evaluate.logits(model, validation.encoded, EVAL_BATCH, self.device)
        return evaluate.scores(logits, validation.truth)

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        logits = evaluate.logits(model, test.encoded, EVAL_BATCH, self.device)
        probabilities = evaluate.softmax(logits)
        texts = test.examples.texts
        results = self.free_half.results(test.truth, probabilities, self.labels)
        count = len(self.labels)
        guesses = {
            "majority": baselines.majority(train.truth, len(test.truth), count),
            "tfidf": baselines.tfidf(
                train.examples.texts,
                train.truth,
                texts,
                count,
                validation=(validation.examples.texts, validation.truth),
            ),
        }
        return Outcome(
            metrics=self.free_half.metrics(test.truth, probabilities, self.labels),
            baselines={
                name: self.free_half.metrics(test.truth, guess, self.labels)
                for name, guess in guesses.items()
            },
            results=results,
            predictions=self._predictions(test, probabilities),
        )

    def _predictions(self, test: Part, probabilities: npt.NDArray[np.float64]) -> list[Prediction]:
        """The most confident mistakes are the worst, then what was right with the least confidence."""
        found = []
        for row, (truth, shares) in enumerate(zip(test.truth.tolist(), probabilities.tolist(), strict=True)):
            best = int(np.argmax(shares))
            wrong = best != truth
            found.append(
                Prediction(
                    row_id=test.examples.row_ids[row],
                    text=test.examples.texts[row],
                    truth=self.labels[truth],
                    predicted=self.labels[best],
                    wrong=wrong,
                    badness=shares[best] if wrong else -shares[best],
                    classes=tuple(dict.fromkeys((self.labels[truth], self.labels[best]))),
                    detail={"probability": shares[best]},
                )
            )
        return found

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if self.spec.class_weights or self.spec.label_smoothing:
            return None  # then the loss is not the plain cross-entropy that guessing is compared with
        most_frequent = float(np.bincount(train.truth).max() / len(train.truth))
        if best.get("accuracy", 0.0) > most_frequent + 0.1:
            return None  # in a very short run the answers can be right while the loss is still high
        assert self.spec.learning_rate is not None
        return stalled(loss, train.truth, self.spec.learning_rate)

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        return open_folder(folder, AutoModelForSequenceClassification)

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """{"label", "score", "probabilities": {label: p}} for each text, in order."""
        assert spec.max_length is not None
        names = [model.config.id2label[index] for index in range(model.config.num_labels)]
        # Encoded as in the evaluation: there an empty text is one token, without which a decoder fails.
        encoded = encode(tokenizer, inputs, spec.max_length)
        logits = evaluate.logits(model, encoded, ANSWER_BATCH, model.device)
        outputs = []
        for probabilities in evaluate.softmax(logits).tolist():
            best = max(range(len(names)), key=probabilities.__getitem__)
            outputs.append(
                {
                    "label": names[best],
                    "score": probabilities[best],
                    "probabilities": dict(zip(names, probabilities, strict=True)),
                }
            )
        return outputs


class CrossEntropy:
    """The objective: cross-entropy with class weights and label smoothing, as torch defines them.

    `truth`: int64 (n,) class numbers of the rows of `data`; `class_weights`: one a class, or None.
    """

    def __init__(
        self,
        data: Encoded,
        truth: npt.NDArray[np.int64],
        padding: int,
        class_weights: tuple[float, ...] | None = None,
        label_smoothing: float = 0.0,
        device: torch.device | None = None,
    ) -> None:
        self.data, self.truth, self.padding = data, truth, padding
        self.label_smoothing = label_smoothing
        self.class_weights: Tensor | None = None
        self.row_weights = np.ones(len(data))
        if class_weights is not None:
            self.class_weights = torch.tensor(class_weights, dtype=torch.float32, device=device)
            self.row_weights = np.asarray(class_weights)[truth]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        return self.data.lengths

    def weight(self, rows: Rows) -> float:
        return float(self.row_weights[rows].sum())

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        return collate(self.data, rows, self.padding, device, self.truth)

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        truth = batch.pop("labels")
        logits: Tensor = model(**batch).logits
        return cross_entropy(
            logits.float(),
            truth,
            weight=self.class_weights,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )


def balanced(labels: npt.NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Weights with which each class weighs the same in the loss: n / (classes present × rows of the class),
    as in scikit-learn. A class without rows gets 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return tuple(float(weight) for weight in np.where(counts > 0, weights, 1.0))
