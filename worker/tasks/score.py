"""Scores, the half with torch: regression with one output on a standardised target.

While it trains the model gives (score - mean) / deviation of the training rows, for which the usual learning rates are
made; `finish` folds both into the last layer, so that the download gives scores in the unit of the data. The heads
of decoders have no bias and can't take a mean: there the target is only scaled, and the head begins where it gives
the mean of the training rows (`aim`).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from app.core.errors import Invalid
from app.core.spec import RunSpec
from app.tasks.examples import Examples
from app.tasks.score import Score as FreeHalf
from worker import baselines, evaluate
from worker.advice import stalled
from worker.backbone import pad_id
from worker.batches import collate
from worker.losses import SquaredError
from worker.tasks.base import Outcome, Part, Prediction
from worker.tasks.sequence import EVAL_BATCH, SequenceTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OUTPUT = "score"
AIM_ROWS = 256
WORST = 0.9  # the error browser's mistakes: errors above this quantile


class Score(SequenceTask):
    problem = "regression"
    free_half = FreeHalf()

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        super().__init__(spec, examples, device)
        scores = _numbers(examples.part("train"))
        self.mean, self.deviation = float(scores.mean()), float(scores.std())
        self.offset = self.mean  # what the last layer can take of the mean: 0 without a bias
        self.new = True

    def head(self) -> list[str]:
        return [OUTPUT]

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer = super().load(folder, keep_head)
        layer = last_layer(model)
        self.offset = 0.0 if layer.bias is None else self.mean
        self.new = not (keep_head and _brings_scores(folder))
        if not self.new:  # it gives scores in their unit: the opposite of `finish`
            with torch.no_grad():
                layer.weight /= self.deviation
                if layer.bias is not None:
                    layer.bias.sub_(self.offset).div_(self.deviation)
        return model, tokenizer

    def truth(self, examples: Examples) -> npt.NDArray[np.float32]:
        return ((_numbers(examples) - self.offset) / self.deviation).astype(np.float32)

    def objective(self, model: nn.Module, train: Part) -> SquaredError:
        layer = last_layer(model)
        if layer.bias is None and self.new:
            model.to(self.device)
            aim(model, layer, train, self.mean / self.deviation, self.device)
        return SquaredError(train.encoded, train.truth, pad_id(model))

    def judged(self, logits: evaluate.Floats, part: Part) -> dict[str, float]:
        metrics = self.figures(logits, part, logits, part)
        curves = {one.name for one in self.free_half.curves}
        loss = float(np.mean((logits[:, 0].astype(np.float64) - part.truth) ** 2))
        return {"loss": loss, **{name: value for name, value in metrics.items() if name in curves}}

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        predicted = self._scores(self.logits(model, test)[:, 0])
        learned, chosen, truth = (_numbers(part.examples) for part in (train, validation, test))
        texts = [part.examples.texts for part in (train, validation, test)]
        guesses = {
            "majority": np.full(len(truth), self.mean),
            "tfidf": self.rival(lambda: baselines.tfidf_score(texts[0], learned, texts[1], chosen, texts[2])),
        }
        return Outcome(
            metrics=self.free_half.metrics(truth, predicted),
            baselines={name: self.free_half.metrics(truth, guess) for name, guess in guesses.items()},
            results=self.free_half.results(truth, predicted) | {"notes": self.notes(train, validation, test)},
            predictions=_predictions(test, truth, predicted),
        )

    def figures(
        self, chosen_on: evaluate.Floats, validation: Part, logits: evaluate.Floats, test: Part
    ) -> dict[str, float]:
        return self.free_half.metrics(_numbers(test.examples), self._scores(logits[:, 0]))

    def _scores(self, logits: evaluate.Floats) -> npt.NDArray[np.float64]:
        """In the unit of the data."""
        scores: npt.NDArray[np.float64] = logits.astype(np.float64) * self.deviation + self.offset
        return scores

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if best.get("rmse", np.inf) < 0.9 * self.deviation:
            return None
        assert self.spec.learning_rate is not None
        return stalled(loss, 1.0, "always guessing the mean", self.spec.learning_rate)

    def finish(self, model: Any, tokenizer: Any) -> None:
        self.fold(last_layer(model))

    def fold(self, layer: nn.Linear) -> None:
        with torch.no_grad():
            layer.weight *= self.deviation
            if layer.bias is not None:
                layer.bias.mul_(self.deviation).add_(self.offset)

    @classmethod
    def outputs(cls, model: Any, logits: evaluate.Floats) -> list[dict[str, Any]]:
        """{"value"} for each text, in order, in the unit of the data."""
        return [{"value": value} for value in logits[:, 0].tolist()]


def last_layer(model: Any) -> nn.Linear:
    """The layer that gives the output, whatever the family calls it (classifier, classifier.out_proj, score …).

    Raises Invalid of kind "model" for a family whose head is built otherwise.
    """
    outputs = [
        module
        for name, child in model.named_children()
        if name != model.base_model_prefix
        for module in child.modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels
    ]
    if not outputs:
        raise Invalid(
            f"The head of the family {model.config.model_type} has no last layer to scale; choose another model.",
            kind="model",
        )
    return outputs[-1]


def aim(model: nn.Module, layer: nn.Linear, train: Part, mean: float, device: torch.device) -> None:
    """Sets `layer`, which has no bias, so that it gives `mean` for the mean training row: w = mean · h / |h|², h being
    its mean input. Otherwise a decoder spends its first epochs on the size of the scores."""
    rows = np.unique(
        np.linspace(0, len(train.encoded) - 1, min(len(train.encoded), AIM_ROWS)).astype(np.int64)
    )
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    total = torch.zeros(layer.in_features, device=device)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for begin in range(0, len(rows), EVAL_BATCH):
                some = rows[begin : begin + EVAL_BATCH]
                model(**collate(train.encoded, some, pad_id(model), device))
                hidden = seen.pop()
                if hidden.dim() == 3:  # each token's; a decoder answers by the last one
                    last = torch.from_numpy(train.encoded.lengths[some].astype(np.int64) - 1).to(device)
                    hidden = hidden[torch.arange(len(some), device=device), last]
                total += hidden.float().sum(dim=0)
    finally:
        hook.remove()
        model.train(training)
    direction = total / len(rows)
    with torch.no_grad():
        layer.weight.copy_(mean * direction / direction.square().sum())


def _predictions(
    test: Part, truth: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]
) -> list[Prediction]:
    """The largest errors are the worst; the worst tenth counts as mistakes."""
    errors = np.abs(predicted - truth)
    bound = max(float(np.quantile(errors, WORST)), np.finfo(np.float64).tiny)
    tokens = test.tokens()
    return [
        Prediction(
            row_id=test.examples.row_ids[row],
            text=test.examples.texts[row],
            truth=f"{true:.6g}",
            predicted=f"{guess:.6g}",
            wrong=error >= bound,
            badness=error,
            detail={"truth": true, "predicted": guess},
            tokens=tokens[row],
        )
        for row, (true, guess, error) in enumerate(
            zip(truth.tolist(), predicted.tolist(), errors.tolist(), strict=True)
        )
    ]


def _numbers(examples: Examples) -> npt.NDArray[np.float64]:
    return np.array(examples["label"], dtype=np.float64)


def _brings_scores(folder: Path) -> bool:
    """Whether the head in `folder` is one of `finish`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return bool(config.get("problem_type") == "regression" and config.get("id2label") == {"0": OUTPUT})
