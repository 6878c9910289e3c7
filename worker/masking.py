"""Masked language modelling (Devlin et al. 2019): which tokens are hidden, and behind what."""

import numpy as np
import numpy.typing as npt

from worker.language import Targets
from worker.packing import NOT_A_WORD, Packed
from worker.seeds import derive
from worker.tasks.base import Rows

HIDDEN, RANDOM = 0.8, 0.1  # shares of the chosen tokens: [MASK], another token; the rest is shown as it is

Integers = npt.NDArray[np.int64]


class Masked:
    """Blocks of which a share of the tokens is to be guessed.

    `ordinary`: int64, the ids that may stand for a token at random: all but the special ones. `whole_words`: the pieces of a
    word are chosen together or not at all. Special tokens are never chosen.
    """

    def __init__(
        self, packed: Packed, mask_id: int, ordinary: Integers, probability: float, whole_words: bool = False
    ) -> None:
        self.data, self.words = packed.encoded, packed.words
        self.mask_id, self.ordinary = mask_id, ordinary
        self.whole_words = whole_words
        candidates = np.add.reduceat(self.words != NOT_A_WORD, self.data.offsets[:-1], dtype=np.int64)
        # A number for each block instead of a die for each token: a step's loss is a mean over a known number.
        self.counts: Integers = np.maximum(1, np.round(probability * candidates)).astype(np.int64)

    def targets(self, rows: Rows, generator: np.random.Generator | None) -> Targets:
        found = []
        for place, row in enumerate(rows):
            # The evaluation's masks are the same for every seed, so that runs can be compared.
            drawn = generator or np.random.default_rng(derive(0, "evaluation masks", int(row)))
            begin, end = self.data.offsets[row], self.data.offsets[row + 1]
            chosen = self._chosen(self.words[begin:end], int(self.counts[row]), drawn)
            truth = self.data.ids[begin:end][chosen].astype(np.int64)
            found.append((np.full(len(chosen), place), chosen, truth, self._shown(truth, drawn)))
        return Targets(*(np.concatenate(column).astype(np.int64) for column in zip(*found, strict=True)))

    def _chosen(self, words: npt.NDArray[np.int32], count: int, generator: np.random.Generator) -> Integers:
        """Places in a block, ascending: `count` of them, or as many as whole words make."""
        candidates = np.flatnonzero(words != NOT_A_WORD)
        if not self.whole_words:
            return np.sort(generator.choice(candidates, count, replace=False))
        starts = np.flatnonzero(np.diff(words[candidates], prepend=NOT_A_WORD))
        pieces = np.split(candidates, starts[1:])
        chosen: list[Integers] = []
        for word in generator.permutation(len(pieces)):
            if len(pieces[word]) <= count:
                chosen.append(pieces[word])
                count -= len(pieces[word])
        if not chosen:  # every word is longer than the share: the shortest
            chosen = [min(pieces, key=len)]
        return np.sort(np.concatenate(chosen))

    def _shown(self, truth: Integers, generator: np.random.Generator) -> Integers:
        dice = generator.random(len(truth))
        other = generator.choice(self.ordinary, len(truth))
        return np.where(dice < HIDDEN, self.mask_id, np.where(dice < HIDDEN + RANDOM, other, truth))
