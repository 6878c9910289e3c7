"""What the frozen blocks give for the rows of one part of the data, found again by the rows' tokens."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from worker.batches import Rows, collate, eval_batches
from worker.encode import Encoded
from worker.memory import in_parts
from worker.transfer.boundary import Boundary, Kept, pick, places_of
from worker.transfer.cache import Floats

CANONICAL_BATCH = 32  # rows; part of what the bits depend on


class Outputs:
    """What is kept of the rows of one part. Rows of the same tokens are kept once.

    `array`: float32 (tokens that are kept, width), filled by `fill`.
    """

    def __init__(self, encoded: Encoded, kept: Kept, width: int, padding: int) -> None:
        self.encoded, self.kept, self.padding = encoded, kept, padding
        self.array: Floats
        self._number: dict[int, int] = {}  # by the hash of the tokens, the place in `rows`
        rows: list[int] = []
        for row in range(len(encoded)):
            if self._number.setdefault(hash(self._bytes(row)), len(rows)) == len(rows):
                rows.append(row)
        self.rows: Rows = np.array(rows, dtype=np.int64)
        counts = (
            encoded.lengths[self.rows].astype(np.int64) if kept == "all" else np.ones(len(rows), np.int64)
        )
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.shape = int(self.starts[-1]), width

    @property
    def nbytes(self) -> int:
        return 4 * self.shape[0] * self.shape[1]

    def fill(
        self, array: Floats, boundary: Boundary, device: torch.device, tell: Callable[[int], None]
    ) -> None:
        """Computes all rows into `array`. `tell(rows)` after each batch."""

        def compute(numbers: Rows) -> None:
            inputs = collate(self.encoded, self.rows[numbers], self.padding, device)
            hidden, places = boundary.capture(inputs), places_of(inputs, self.padding, self.kept)
            if places is not None:
                array[self.starts[numbers]] = pick(hidden, places).cpu().numpy()
                return
            for output, number in zip(hidden.cpu().numpy(), numbers.tolist(), strict=True):
                start, end = self.starts[number], self.starts[number + 1]
                array[start:end] = output[: end - start]

        for numbers in eval_batches(self.encoded.lengths[self.rows], CANONICAL_BATCH):
            in_parts(compute, numbers)
            tell(len(numbers))

    def of(self, inputs: dict[str, npt.NDArray[np.int64]]) -> Floats | None:
        """float32 (rows, tokens or 1, width), zero in padding; None if a row of the batch is not known."""
        ids, lengths = inputs["input_ids"], inputs["attention_mask"].sum(axis=1).tolist()
        flat, types = ids.astype(np.int32), inputs.get("token_type_ids")
        typed = None if types is None else types.astype(np.int32)
        numbers = []
        for row, length in enumerate(lengths):
            read = flat[row, :length].tobytes()
            if typed is not None:
                read += typed[row, :length].tobytes()
            number = self._number.get(hash(read))
            if number is None or self._bytes(int(self.rows[number])) != read:
                return None
            numbers.append(number)
        if self.kept != "all":
            found: Floats = self.array[self.starts[numbers]][:, None]
            return found
        padded = np.zeros((*ids.shape, self.shape[1]), dtype=np.float32)
        for row, number in enumerate(numbers):
            padded[row, : lengths[row]] = self.array[self.starts[number] : self.starts[number + 1]]
        return padded

    def key(self, settings: dict[str, Any]) -> str:
        """Of all that the bits depend on: `settings`, the tokens, what is kept of them."""
        encoded, digest = self.encoded, hashlib.sha256()
        said = settings | {"kept": self.kept, "shape": self.shape, "batch": CANONICAL_BATCH}
        digest.update(json.dumps(said, sort_keys=True).encode())
        for values in (encoded.ids, encoded.offsets, encoded.token_type_ids):
            digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def _bytes(self, row: int) -> bytes:
        span = slice(self.encoded.offsets[row], self.encoded.offsets[row + 1])
        types = self.encoded.token_type_ids
        return self.encoded.ids[span].tobytes() + (b"" if types is None else types[span].tobytes())
