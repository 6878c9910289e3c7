"""What a frozen pre-trained model says of the words of sentences: the vector of each word's first piece, at its end and below."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from app.tasks.sentences import Sentence
from worker.backbone import load_classifier, pad_id
from worker.batches import Rows, collate, eval_batches
from worker.frozen_means import BATCH, TRIED, TooSlow
from worker.memory import in_parts
from worker.tagging import word_windows

DEPTHS = (1.0, 2 / 3)  # of the layers that are read: all there are are 1

Vectors = npt.NDArray[np.float16]


def frozen_words(
    folder: Path,
    sentences: Sequence[Sentence],
    max_length: int,
    most_seconds: float,
    tell: Callable[[float], None],
) -> Vectors:
    """float16 (DEPTHS, words of all sentences, width), on the CPU; of a word that the tokenizer drops zeros. `tell(share done)`.

    Raises TooSlow; Invalid of kind "model" for a folder that is none, or whose tokenizer doesn't tell where its pieces stand.
    """
    classifier, tokenizer = load_classifier(folder, ["0", "1"], 0, keep_head=False)
    trunk, padding, device = classifier.base_model.eval(), pad_id(classifier), torch.device("cpu")
    windows = word_windows(
        tokenizer, [one.string for one in sentences], [one.places for one in sentences], max_length
    )
    batches = eval_batches(windows.encoded.lengths, BATCH)
    # The longest come first, so the time is estimated by tokens.
    tokens = np.cumsum([int(windows.encoded.lengths[rows].sum()) for rows in batches])
    width = int(classifier.config.hidden_size)
    found: Vectors = np.zeros((len(DEPTHS), int(windows.sentences[-1]), width), np.float16)
    began = time.monotonic()

    def read(rows: Rows) -> None:
        lines, columns, marks = windows.marks(rows)
        words = ~windows.gaps[marks]
        at = torch.from_numpy(lines[words]), torch.from_numpy(columns[words])
        hidden = trunk(**collate(windows.encoded, rows, padding, device), output_hidden_states=True)[
            "hidden_states"
        ]
        for depth, share in enumerate(DEPTHS):
            layer = hidden[round(share * (len(hidden) - 1))]
            found[depth, windows.words[marks[words]]] = layer[at].float().numpy()

    with torch.inference_mode():
        for done, rows in enumerate(batches, 1):
            in_parts(read, rows)
            if done == TRIED:
                all_of_it = (time.monotonic() - began) * tokens[-1] / tokens[done - 1]
                if all_of_it > most_seconds:
                    raise TooSlow(all_of_it)
            tell(float(tokens[done - 1] / tokens[-1]))
    return found
