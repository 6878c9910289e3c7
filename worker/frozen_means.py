"""What a frozen pre-trained model says of texts: the means of its token vectors, at its end and below.

The last block knows best what the model was trained for, those below what else there is to say of a text.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from worker.backbone import load_classifier, pad_id
from worker.batches import collate, eval_batches
from worker.encode import encode
from worker.memory import in_parts
from worker.transfer.pooling import mean_of

BATCH = 32
TRIED = 4  # batches after which it is known how long all of them take
DEPTHS = (1.0, 0.85, 2 / 3, 0.5)  # of the layers that are read: all there are are 1
MOST_TOKENS = 256  # of a text: what it is about is said by then

Texts = list[str] | list[tuple[str, str]]
Means = npt.NDArray[np.float32]


class TooSlow(Exception):
    """It would take `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


def frozen_means(
    folder: Path, texts: Texts, max_length: int, most_seconds: float, tell: Callable[[float], None]
) -> Means:
    """float32 (DEPTHS, texts, width), on the CPU, where a training beside it loses no memory of its GPU. `tell(share done)`.

    Raises TooSlow; Invalid of kind "model" for a folder that is none.
    """
    classifier, tokenizer = load_classifier(folder, ["0", "1"], 0, keep_head=False)
    trunk, padding, device = classifier.base_model.eval(), pad_id(classifier), torch.device("cpu")
    paired = bool(texts) and not isinstance(texts[0], str)
    firsts = [one[0] for one in texts] if paired else [str(one) for one in texts]
    seconds = [one[1] for one in texts] if paired else None
    encoded = encode(tokenizer, firsts, min(max_length, MOST_TOKENS), pairs=seconds)
    batches = eval_batches(encoded.lengths, BATCH)
    # The longest come first, so the time is estimated by tokens.
    tokens = np.cumsum([int(encoded.lengths[rows].sum()) for rows in batches])
    found: Means | None = None
    began = time.monotonic()

    def read(rows: npt.NDArray[np.int64]) -> Means:
        batch = collate(encoded, rows, padding, device)
        with torch.inference_mode():
            hidden = trunk(**batch, output_hidden_states=True)["hidden_states"]
            read = [hidden[round(depth * (len(hidden) - 1))] for depth in DEPTHS]
            means: Means = torch.stack([mean_of(one.float(), batch) for one in read]).numpy()
        return means

    for done, rows in enumerate(batches, 1):
        means = np.concatenate(in_parts(read, rows), axis=1)
        if found is None:
            found = np.empty((len(DEPTHS), len(texts), means.shape[2]), np.float32)
        found[:, rows] = means
        if done == TRIED:
            all_of_it = (time.monotonic() - began) * tokens[-1] / tokens[done - 1]
            if all_of_it > most_seconds:
                raise TooSlow(all_of_it)
        tell(float(tokens[done - 1] / tokens[-1]))
    return found if found is not None else np.zeros((len(DEPTHS), 0, 1), np.float32)
