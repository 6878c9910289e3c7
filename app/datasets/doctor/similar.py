"""Texts that are nearly the same: MinHash over runs of 5 characters, compared where a band of 4 hashes agrees.

Broder (1997), "On the resemblance and containment of documents"; Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", chapter 3. Written with numpy because `datasketch` keeps Python objects of each text: measured on 10,000
reviews it took 3.9 s and 60 MB, so 100,000 would not fit the 300 MB that a data set of any size is examined in.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from app.datasets.doctor.base import Block

if TYPE_CHECKING:
    import numpy as np

HASHES, BAND = 64, 4  # 16 bands: two texts that share 70 % of their runs meet with 99 %, at 50 % with 64 %
RUN = 5  # characters
ALIKE = 0.7  # share of common runs from which on two texts are nearly the same
LONGEST = 4000  # characters that are looked at
SHORTEST = 15
MOST = 500_000  # different texts; their hashes take 128 MB on the disk meanwhile
_SEED = 20_261_128
_CHUNK = 50_000


class Similar:
    """Collects the hashes of different texts; `pairs` then says which are alike."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        random = np.random.Generator(np.random.PCG64(_SEED))
        self._factors = random.integers(0, 2**64, HASHES, np.uint64) | np.uint64(1)
        self._terms = random.integers(0, 2**64, HASHES, np.uint64)
        self._powers = random.integers(0, 2**64, RUN, np.uint64) | np.uint64(1)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._seen: set[int] = set()
        self.positions: list[int] = []  # in the version, of each text that was hashed
        self.left_out = 0

    def add(self, block: Block, hashes: "np.ndarray") -> None:
        """`hashes`: of the normalised texts of the block. A text that came before is not hashed again."""
        seen, parts = self._seen, []
        for place, (words, key) in enumerate(zip(block.words, hashes.tolist(), strict=True)):
            if len(words) < SHORTEST or key in seen:
                continue
            if len(seen) >= MOST:
                self.left_out += 1
                continue
            seen.add(key)
            self.positions.append(block.first + place)
            parts.append(self._hashed(words[:LONGEST]).tobytes())
        self._file.write(b"".join(parts))

    def pairs(self) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """(one, other, share): places in `positions` of texts that are alike, and the share of common runs (estimated)."""
        import numpy as np

        count = len(self.positions)
        empty = np.zeros(0, np.int64)
        if count < 2:
            return empty, empty, np.zeros(0)
        self._file.flush()
        all_hashes = np.memmap(self._file, np.uint32, "r", shape=(count, HASHES))
        found, shares = empty, np.zeros(0)
        for band in range(0, HASHES, BAND):
            candidates = np.setdiff1d(self._meeting(all_hashes, band), found)
            share = np.concatenate(
                [np.zeros(0)]
                + [
                    np.mean(all_hashes[some // count] == all_hashes[some % count], axis=1)
                    for some in np.array_split(candidates, len(candidates) // _CHUNK + 1)
                ]
            )
            near = share >= ALIKE
            found, shares = np.r_[found, candidates[near]], np.r_[shares, share[near]]
        return found // count, found % count, shares

    def close(self) -> None:
        self._file.close()

    def _hashed(self, words: str) -> "np.ndarray":
        import numpy as np

        codes = np.frombuffer(words.encode("utf-32-le"), np.uint32).astype(np.uint64)
        runs = len(codes) - RUN + 1
        mixed = codes[:runs] * self._powers[0]
        for place in range(1, RUN):
            mixed += codes[place : runs + place] * self._powers[place]
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        least: np.ndarray = (mixed[:, None] * self._factors + self._terms).min(axis=0)
        return (least >> np.uint64(32)).astype(np.uint32)

    def _meeting(self, all_hashes: "np.ndarray", band: int) -> "np.ndarray":
        """Pairs (one * count + other) that agree in a band. Of many each is paired with the first and with its neighbour,
        so that a thousand letters by one template make two thousand pairs, not half a million."""
        import numpy as np

        count = len(all_hashes)
        keys = np.zeros(count, np.uint64)
        for place in range(BAND):
            for begin in range(0, count, _CHUNK):
                some = slice(begin, begin + _CHUNK)
                keys[some] = keys[some] * np.uint64(0x9E3779B97F4A7C15) + all_hashes[some, band + place]
        order = np.argsort(keys, kind="stable")
        same = keys[order[1:]] == keys[order[:-1]]
        starts = np.r_[True, ~same]
        heads = order[np.flatnonzero(starts)][np.cumsum(starts) - 1]
        with_head = np.flatnonzero(~starts)
        one = np.r_[heads[with_head], order[with_head - 1]]
        other = np.r_[order[with_head], order[with_head]]
        return np.unique(np.minimum(one, other).astype(np.int64) * count + np.maximum(one, other))
