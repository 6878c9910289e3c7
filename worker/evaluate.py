"""Logits of many texts, and the scores that the loop looks at while it trains."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.backbone import pad_id, text_config
from worker.batches import collate, eval_batches
from worker.encode import Encoded
from worker.fast.last_block import shortened
from worker.memory import in_parts

Floats = npt.NDArray[np.float32]


def logits(
    model: nn.Module,
    encoded: Encoded,
    batch_size: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """float32 (texts, classes) in the order of the texts, without dropout; the model's mode is put back.

    Of a text that is read in windows: the mean over them. `progress(done, total)` after each batch. Always in float32: what is published is not the training's bfloat16.
    """
    if len(encoded) == 0:
        return np.zeros((0, text_config(model).num_labels), dtype=np.float32)
    training = model.training
    model.eval()
    padding = pad_id(model)
    batches = eval_batches(encoded.lengths, batch_size)
    try:
        with shortened(model), torch.inference_mode():
            parts = []
            for done, rows in enumerate(batches, 1):
                parts += in_parts(
                    lambda part: model(**collate(encoded, part, padding, device)).logits.float(), rows
                )
                if progress is not None:
                    progress(done, len(batches))
            joined: Floats = torch.cat(parts).cpu().numpy()  # the only wait for a GPU
    finally:
        model.train(training)
    result = np.empty_like(joined)
    result[np.concatenate(batches)] = joined
    if encoded.owner is None:
        return result
    first = np.flatnonzero(np.diff(encoded.owner, prepend=-1))
    sums: Floats = np.add.reduceat(result, first, axis=0)
    windows = np.bincount(encoded.owner).astype(np.float32)
    means: Floats = np.divide(sums, windows[:, None], dtype=np.float32)
    return means


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Probabilities float64 (n, classes); each row adds up to 1."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def sigmoid(logits: Floats) -> npt.NDArray[np.float64]:
    """Probabilities float64 (n, labels), each for itself."""
    result: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -500, 500)))
    return result


def scores(logits: Floats, truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """The cheap scores of an evaluation during training: loss (mean cross-entropy), accuracy, macro_f1.

    macro_f1 is the mean over the classes that occur in `truth` or among the predictions (as scikit-learn's).
    The final scores are those of the task (app.tasks).
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    loss = log_sum - shifted[np.arange(len(truth)), truth]
    predicted = logits.argmax(axis=1)
    classes = logits.shape[1]
    hits = np.bincount(truth[predicted == truth], minlength=classes)
    both = np.bincount(truth, minlength=classes) + np.bincount(predicted, minlength=classes)
    f1 = 2 * hits[both > 0] / both[both > 0]
    return {
        "loss": float(loss.mean()),
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float(f1.mean()),
    }
