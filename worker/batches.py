"""Which rows make a batch, and the batch as tensors.

The order of an epoch is a pure function of (lengths, batch size, seed, epoch): a resumed run finds its place
by counting. Rows of like length share a batch, so that little is spent on padding.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.encode import Encoded
from worker.seeds import derive

ORDER_VERSION = 2  # of the algorithm below, for plan.json: a resume with another order is not exact
POOL = 64  # batches that are sorted by length together

Rows = npt.NDArray[np.int64]


def epoch_batches(lengths: npt.NDArray[np.int32], batch_size: int, seed: int, epoch: int) -> list[Rows]:
    """The batches of an epoch (from 0): ceil(n / batch_size) arrays of row numbers, each row exactly once.

    Rows are shuffled, sorted by length within pools of up to 64 batches, cut into batches, and the batches
    are shuffled. A pool is at most an eighth of the data: sorting all of a small data set would give nearly
    the same batches in each epoch, all short or all long, and learns worse. All batches are full but one.
    """
    count = -(-len(lengths) // batch_size)
    generator = np.random.default_rng(derive(seed, "order", epoch))
    order = generator.permutation(len(lengths))
    pool = batch_size * max(1, min(POOL, count // 8))
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


def micro_batches(rows: Rows, batch_size: int) -> Iterator[Rows]:
    """A step's rows in parts of at most `batch_size`."""
    for at in range(0, len(rows), batch_size):
        yield rows[at : at + batch_size]


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
