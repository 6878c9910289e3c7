"""Which rows make a batch, and the batch as tensors.

The order of an epoch is a pure function of (lengths, batch size, seed, epoch): a resumed run finds its place
by counting. Where each row counts the same, rows of like length share a batch, so that little is spent on padding. Where
each token does, that would make steps of few tokens and steps of many, and learns worse (entities in 1,000 tweets: a
loss of 0.216 instead of 0.205, transformers' Trainer 0.205): batches are drawn at random. Either way, on a CPU, the rows
of a step are parted by length where that costs less than their padding.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.encode import Encoded
from worker.seeds import derive

ORDER_VERSION = 4  # of the algorithms below, for plan.json: a resume with another order is not exact
POOL = 64  # batches that are sorted by length together
# Tokens that take about as long as one more pass through the model on a CPU. With 32, 64, 96 and 192 the starter trains 1,200
# review snippets in 0.87, 0.86, 0.83 and 0.81 of the time that whole batches take: one long text makes a batch of short ones dear.
PASS = 96

Rows = npt.NDArray[np.int64]


def epoch_batches(
    lengths: npt.NDArray[np.int32], batch_size: int, seed: int, epoch: int, alike: bool = True
) -> list[Rows]:
    """The batches of an epoch (from 0): ceil(n / batch_size) arrays of row numbers, each row exactly once, the shortest of a
    batch first. `alike`: rows of like length together; else batches are drawn at random.

    Rows are shuffled, sorted by length within pools of up to 64 batches, cut into batches, and the batches
    are shuffled. A pool is at most an eighth of the data: sorting all of a small data set would give nearly
    the same batches in each epoch, all short or all long, and learns worse. All batches are full but one.
    """
    count = -(-len(lengths) // batch_size)
    generator = np.random.default_rng(derive(seed, "order", epoch))
    order = generator.permutation(len(lengths))
    pool = batch_size * (max(1, min(POOL, count // 8)) if alike else 1)
    batches: list[Rows] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    return [batches[index] for index in generator.permutation(count)]


def eval_batches(lengths: npt.NDArray[np.int32], batch_size: int) -> list[Rows]:
    """The canonical batches for a pass without learning: longest rows first (a batch too large for the
    memory shows at once), ties in row order; the same for every seed."""
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]


def micro_batches(
    rows: Rows, lengths: npt.NDArray[np.int32], tokens: int, most: int, cost: int | None = None
) -> Iterator[Rows]:
    """A step's rows, in their order, in parts of at most `most` rows and `tokens` tokens with padding: many short ones
    together take the memory of a few long ones. A row that is longer than `tokens` is a part of its own.

    `lengths` (n,): tokens of each row of the data. `cost`: what a part costs beside its tokens, in tokens: the parts are
    those that cost least together. None: as few as possible.
    """
    sizes = lengths[rows]
    ends = _fewest(sizes, tokens, most) if cost is None else _cheapest(sizes, tokens, most, cost)
    begin = 0
    for end in ends:
        yield rows[begin:end]
        begin = end


def _fewest(sizes: npt.NDArray[np.int32], tokens: int, most: int) -> list[int]:
    """Where each part ends, the parts being filled one after the other."""
    ends, begin, longest = [], 0, 0
    for at, length in enumerate(sizes.tolist()):
        longest = max(longest, length)
        if at > begin and (at - begin == most or (at - begin + 1) * longest > tokens):
            ends.append(at)
            begin, longest = at, length
    return [*ends, len(sizes)] if len(sizes) else []


def _cheapest(sizes: npt.NDArray[np.int32], tokens: int, most: int, cost: int) -> list[int]:
    """Where each part ends, by dynamic programming: the cheapest way to part the first n rows, for each n."""
    cheapest = np.zeros(len(sizes) + 1)
    begins = np.zeros(len(sizes) + 1, dtype=np.int64)
    for end in range(1, len(sizes) + 1):
        first = max(0, end - most)
        counts = np.arange(end - first, 0, -1)  # rows of the parts that end here, the longest first
        longest = np.maximum.accumulate(sizes[first:end][::-1])[::-1].astype(np.int64)
        padded = counts * longest
        whole = np.where((padded <= tokens) | (counts == 1), cheapest[first:end] + padded + cost, math.inf)
        best = int(whole.argmin())
        cheapest[end], begins[end] = whole[best], first + best
    ends, end = [], len(sizes)
    while end:
        ends.append(end)
        end = int(begins[end])
    return ends[::-1]


def collate(
    encoded: Encoded,
    rows: Rows,
    pad_id: int,
    device: torch.device,
    labels: npt.NDArray[Any] | None = None,
) -> dict[str, Tensor]:
    """Model inputs for `rows`, int64 (rows, longest row), padded at the right; the attention mask is always
    there, for a model must never have to guess it from the padding id. `labels` (n, …) of all rows adds "labels".

    On a GPU the copies start from pinned memory and don't block (untested on a GPU).
    """
    lengths = encoded.lengths[rows]
    real = np.arange(lengths.max()) < lengths[:, None]
    spans = [slice(encoded.offsets[row], encoded.offsets[row + 1]) for row in rows]
    batch = {
        "input_ids": _padded(encoded.ids, spans, real, pad_id),
        "attention_mask": real.astype(np.int64),
    }
    if encoded.token_type_ids is not None:
        batch["token_type_ids"] = _padded(encoded.token_type_ids, spans, real, 0)
    if labels is not None:
        batch["labels"] = labels[rows]
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    if device.type != "cuda":
        return tensors
    return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}


def _padded(
    flat: npt.NDArray[np.int32], spans: list[slice], real: npt.NDArray[np.bool_], fill: int
) -> npt.NDArray[np.int64]:
    matrix = np.full(real.shape, fill, dtype=np.int64)
    matrix[real] = np.concatenate([flat[span] for span in spans])
    return matrix
