"""Multi-label classification, the half with torch: a sigmoid for each label, thresholds tuned on validation."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from app.core.spec import RunSpec
from app.datasets.lists import SEPARATOR
from app.tasks.examples import Examples
from app.tasks.multilabel import PRIOR, THRESHOLDS, tuned
from app.tasks.multilabel import Multilabel as FreeHalf
from worker import baselines, evaluate
from worker.advice import entropy, stalled
from worker.backbone import pad_id
from worker.losses import BinaryCrossEntropy
from worker.tasks.base import Outcome, Part, Prediction
from worker.tasks.sequence import SequenceTask, names

MOST_WEIGHT = 10.0
UNTUNED = 0.5  # of a run that was cancelled before its thresholds were tuned

Flags = npt.NDArray[np.bool_]


class Multilabel(SequenceTask):
    problem = "multi_label_classification"
    free_half = FreeHalf()

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        super().__init__(spec, examples, device)
        self.thresholds: npt.NDArray[np.floating[Any]] = np.full(len(self.labels), UNTUNED)

    def truth(self, examples: Examples) -> Flags:
        number = {label: index for index, label in enumerate(self.labels)}
        flags = np.zeros((len(examples), len(self.labels)), dtype=np.bool_)
        for row, labels in enumerate(examples["label"]):
            flags[row, [number[label] for label in labels]] = True
        return flags

    def objective(self, model: nn.Module, train: Part) -> BinaryCrossEntropy:
        weights = balanced(train.truth) if self.spec.class_weights == "balanced" else None
        truth = train.truth.astype(np.float32)
        return BinaryCrossEntropy(train.encoded, truth, pad_id(model), weights, self.device)

    def judged(self, logits: evaluate.Floats, part: Part) -> dict[str, float]:
        """The F1 scores are those with thresholds tuned on these same rows, as the result's will be: at 0.5 a model
        that has ranked everything right and is not yet sure of it would have found nothing."""
        return {"loss": cross_entropy(logits, part.truth), **self.figures(logits, part, logits, part)}

    def figures(
        self, chosen_on: evaluate.Floats, validation: Part, logits: evaluate.Floats, test: Part
    ) -> dict[str, float]:
        thresholds = tuned(validation.truth, evaluate.sigmoid(chosen_on))
        return self.free_half.metrics(test.truth, evaluate.sigmoid(logits) >= thresholds)

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        self.thresholds = tuned(validation.truth, evaluate.sigmoid(self.logits(model, validation)))
        probabilities = evaluate.sigmoid(self.logits(model, test))
        predicted = probabilities >= self.thresholds
        texts = [part.examples.texts for part in (train, validation, test)]
        rival, rival_test = self.rival(
            lambda: baselines.tfidf_labels(texts[0], train.truth, texts[1], validation.truth, texts[2])
        )
        guesses = {
            "majority": np.tile(baselines.frequent(train.truth), (len(test.truth), 1)),
            "tfidf": rival_test >= tuned(validation.truth, rival),
        }
        results = self.free_half.results(test.truth, predicted, self.labels, self.thresholds)
        return Outcome(
            metrics=self.free_half.metrics(test.truth, predicted),
            baselines={name: self.free_half.metrics(test.truth, guess) for name, guess in guesses.items()},
            results=results | {"notes": self.notes(train, validation, test)},
            predictions=self._predictions(test, probabilities, predicted),
        )

    def notes(self, *parts: Part) -> list[str]:
        bare = sum(int((~part.truth.any(axis=1)).sum()) for part in parts)
        rows = sum(len(part.truth) for part in parts)
        said = (
            [f"{bare:,} of {rows:,} rows have no label; they are kept as texts without one."] if bare else []
        )
        rule = (
            "Thresholds are tuned on the validation rows for the highest F1 of each label; that of a label with few "
            f"validation rows is drawn towards the common one (by {PRIOR} rows)."
        )
        return [*super().notes(*parts), *said, rule]

    def _predictions(
        self, test: Part, probabilities: npt.NDArray[np.float64], predicted: Flags
    ) -> list[Prediction]:
        """The more labels are wrong and the surer the model was of them, the worse."""
        wrong = predicted != test.truth
        distance = np.abs(probabilities - self.thresholds)
        badness = np.where(
            wrong.any(axis=1), (wrong * (1 + distance)).sum(axis=1), -distance.min(axis=1)
        ).tolist()
        labels = np.array(self.labels, dtype=object)
        tokens = test.tokens()
        found = []
        for row, (true_row, predicted_row) in enumerate(zip(test.truth, predicted, strict=True)):
            true, given = labels[true_row].tolist(), labels[predicted_row].tolist()
            found.append(
                Prediction(
                    row_id=test.examples.row_ids[row],
                    text=test.examples.texts[row],
                    truth=SEPARATOR.join(true),
                    predicted=SEPARATOR.join(given),
                    wrong=true != given,
                    badness=badness[row],
                    classes=tuple(dict.fromkeys([*true, *given])),
                    detail={"true": true, "predicted": given},
                    tokens=tokens[row],
                )
            )
        return found

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if self.spec.class_weights:
            return None  # then the loss is not the plain cross-entropy that guessing is compared with
        shares = train.truth.mean(axis=0)
        guessing = float(np.mean([entropy(np.array([share, 1 - share])) for share in shares]))
        constant = np.tile(baselines.frequent(train.truth), (len(train.truth), 1))
        if best.get("micro_f1", 0.0) > self.free_half.metrics(train.truth, constant)["micro_f1"] + 0.1:
            return None
        assert self.spec.learning_rate is not None
        return stalled(loss, guessing, "guessing each label by its frequency", self.spec.learning_rate)

    def finish(self, model: Any, tokenizer: Any) -> None:
        setattr(model.config, THRESHOLDS, dict(zip(self.labels, self.thresholds.tolist(), strict=True)))

    @classmethod
    def outputs(cls, model: Any, logits: evaluate.Floats) -> list[dict[str, Any]]:
        """{"labels": [label], "probabilities": {label: p}} for each text, in order."""
        labels = names(model)
        tuned_ones = getattr(model.config, THRESHOLDS, {})
        thresholds = [tuned_ones.get(label, UNTUNED) for label in labels]
        return [
            {
                "labels": [
                    label
                    for label, value, least in zip(labels, row, thresholds, strict=True)
                    if value >= least
                ],
                "probabilities": dict(zip(labels, row, strict=True)),
            }
            for row in evaluate.sigmoid(logits).tolist()
        ]


def cross_entropy(logits: evaluate.Floats, truth: Flags) -> float:
    """The mean over rows and labels, nats; without class weights."""
    wide = logits.astype(np.float64)
    return float((np.logaddexp(0, wide) - wide * truth).mean())


def balanced(truth: Flags) -> npt.NDArray[np.float64]:
    """What a label that is there counts for so that it weighs as much as its absence: rows without it / rows with it,
    from 1 to at most 10 (a label of three rows would otherwise shake the training each time that one comes)."""
    positives = truth.sum(axis=0)
    weights: npt.NDArray[np.float64] = np.clip((len(truth) - positives) / positives.clip(1), 1.0, MOST_WEIGHT)
    return weights
