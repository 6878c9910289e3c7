"""Texts to token ids, once per run, by the Rust tokenizer in large batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transformers import BatchEncoding, PreTrainedTokenizerBase

CHUNK = 1000  # texts per call: large enough for the Rust threads, small enough for a smooth progress bar

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """n encoded texts without padding. Row i is `ids[offsets[i]:offsets[i + 1]]`, special tokens included.

    ids: int32 (tokens,). offsets: int64 (n + 1,). lengths: int32 (n,), tokens of each row, at least 1.
    token_type_ids: int32 (tokens,), only for models that read them. truncated: int64, the rows that lost text.
    """

    ids: IntArray
    offsets: npt.NDArray[np.int64]
    lengths: IntArray
    truncated: npt.NDArray[np.int64]
    token_type_ids: IntArray | None = None

    def __len__(self) -> int:
        return len(self.lengths)


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Encodes `texts`, each cut at the right to `max_length` tokens; `progress(done, total)` after each chunk.

    A text without any token (the empty string in GPT-2) becomes one end-of-text or padding token, because
    a model has to read something. The tokenizer is left without truncation and padding: its state is what
    a later save_pretrained writes to tokenizer.json.
    """
    typed = "token_type_ids" in tokenizer.model_input_names
    empty = next(
        (
            one
            for one in (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
            if one is not None
        ),
        0,
    )
    rows: list[IntArray] = []
    types: list[IntArray] = []
    truncated: list[int] = []
    for start in range(0, len(texts), CHUNK):
        batch = tokenizer(
            list(texts[start : start + CHUNK]),
            truncation=True,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=typed,
        )
        rows += [np.array(ids or [empty], dtype=np.int32) for ids in batch["input_ids"]]
        if typed:
            types += [np.array(ids or [0], dtype=np.int32) for ids in batch["token_type_ids"]]
        cut = _cut(tokenizer, batch, texts[start : start + CHUNK], max_length)
        truncated += [start + row for row in cut]
        if progress is not None:
            progress(min(start + CHUNK, len(texts)), len(texts))
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Encoded(
        ids=_flat(rows),
        offsets=offsets,
        lengths=lengths,
        truncated=np.array(truncated, dtype=np.int64),
        token_type_ids=_flat(types) if typed else None,
    )


def _flat(rows: list[IntArray]) -> IntArray:
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)


def _cut(
    tokenizer: PreTrainedTokenizerBase, batch: BatchEncoding, texts: Sequence[str], max_length: int
) -> list[int]:
    """The rows of a batch that lost text. The Rust tokenizer keeps what it cut off; others are asked again."""
    if batch.encodings is not None:
        return [row for row, encoding in enumerate(batch.encodings) if encoding.overflowing]
    full = [row for row, ids in enumerate(batch["input_ids"]) if len(ids) == max_length]
    whole = (
        tokenizer([texts[row] for row in full], truncation=False, verbose=False)["input_ids"] if full else []
    )
    return [row for row, ids in zip(full, whole, strict=True) if len(ids) > max_length]
