"""Classification, the half with torch: a sequence classification head, cross-entropy, probabilities."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from app.tasks.classification import Classification as FreeHalf
from app.tasks.examples import Examples
from worker import baselines, evaluate
from worker.advice import entropy, stalled
from worker.backbone import pad_id
from worker.losses import CrossEntropy
from worker.tasks.base import Outcome, Part, Prediction
from worker.tasks.sequence import SequenceTask, names


class Classification(SequenceTask):
    problem = "single_label_classification"
    free_half = FreeHalf()

    def truth(self, examples: Examples) -> npt.NDArray[np.int64]:
        number = {label: index for index, label in enumerate(self.labels)}
        return np.array([number[label] for label in examples.labels], dtype=np.int64)

    def objective(self, model: nn.Module, train: Part) -> CrossEntropy:
        spec = self.spec
        weights = balanced(train.truth, len(self.labels)) if spec.class_weights == "balanced" else None
        return CrossEntropy(
            train.encoded,
            train.truth,
            pad_id(model),
            weights,
            spec.label_smoothing,
            self.device,
            spec.focal_gamma,
        )

    def judged(self, logits: evaluate.Floats, part: Part) -> dict[str, float]:
        return evaluate.scores(logits, part.truth)

    def figures(
        self, chosen_on: evaluate.Floats, validation: Part, logits: evaluate.Floats, test: Part
    ) -> dict[str, float]:
        return self.free_half.metrics(test.truth, evaluate.softmax(logits), self.labels)

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        probabilities = evaluate.softmax(self.logits(model, test))
        count = len(self.labels)
        guesses = {
            "majority": baselines.majority(train.truth, len(test.truth), count),
            "tfidf": self.rival(
                lambda: baselines.tfidf(
                    self.texts(train.examples),
                    train.truth,
                    self.texts(test.examples),
                    count,
                    validation=(self.texts(validation.examples), validation.truth),
                )
            ),
        }
        results = self.free_half.results(test.truth, probabilities, self.labels)
        return Outcome(
            metrics=self.free_half.metrics(test.truth, probabilities, self.labels),
            baselines={
                name: self.free_half.metrics(test.truth, guess, self.labels)
                for name, guess in guesses.items()
            },
            results=results | {"notes": self.notes(train, validation, test)},
            predictions=self._predictions(test, probabilities),
        )

    def texts(self, examples: Examples) -> baselines.Texts:
        """What a baseline learns from."""
        return examples.texts

    def detail(self, examples: Examples, row: int) -> dict[str, Any]:
        """What the error browser shows of a row beside its text and its probability."""
        return {}

    def _predictions(self, test: Part, probabilities: npt.NDArray[np.float64]) -> list[Prediction]:
        """The most confident mistakes are the worst, then what was right with the least confidence."""
        best, top = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
        tokens = test.tokens()
        found = []
        for row, truth in enumerate(test.truth.tolist()):
            true, predicted, wrong = self.labels[truth], self.labels[best[row]], best[row] != truth
            found.append(
                Prediction(
                    row_id=test.examples.row_ids[row],
                    text=test.examples.texts[row],
                    truth=true,
                    predicted=predicted,
                    wrong=wrong,
                    badness=top[row] if wrong else -top[row],
                    classes=tuple(dict.fromkeys((true, predicted))),
                    detail={"probability": top[row], **self.detail(test.examples, row)},
                    tokens=tokens[row],
                )
            )
        return found

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        spec = self.spec
        if spec.class_weights or spec.label_smoothing or spec.focal_gamma:
            return None  # then the loss is not the plain cross-entropy that guessing is compared with
        shares = np.bincount(train.truth) / len(train.truth)
        if best.get("accuracy", 0.0) > shares.max() + 0.1:
            return None  # in a very short run the answers can be right while the loss is still high
        assert spec.learning_rate is not None
        return stalled(loss, entropy(shares), "guessing by frequency", spec.learning_rate)

    @classmethod
    def outputs(cls, model: Any, logits: evaluate.Floats) -> list[dict[str, Any]]:
        """{"label", "score", "probabilities": {label: p}} for each text, in order."""
        labels = names(model)
        probabilities = evaluate.softmax(logits)
        best = probabilities.argmax(axis=1).tolist()
        return [
            {"label": labels[top], "score": row[top], "probabilities": dict(zip(labels, row, strict=True))}
            for top, row in zip(best, probabilities.tolist(), strict=True)
        ]


def balanced(labels: npt.NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Weights with which each class weighs the same in the loss: n / (classes present × rows of the class),
    as in scikit-learn. A class without rows gets 1."""
    counts = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return tuple(float(weight) for weight in np.where(counts > 0, weights, 1.0))
