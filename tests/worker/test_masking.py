"""Masks: the share that is asked for, whole words together, fixed for an evaluation and repeatable in training."""

import numpy as np
import numpy.typing as npt
import pytest

from worker.masking import Masked
from worker.packing import Document, Packed, pack

Array = npt.NDArray[np.int64]
MASK = 4
ORDINARY = np.arange(10, 500)


def blocks(count: int = 200, size: int = 62) -> Packed:
    """Words of one to three pieces between special tokens 1 and 2."""
    generator = np.random.default_rng(0)
    ids: list[int] = []
    words: list[int] = []
    word = 0
    while len(ids) < count * (size - 2):
        pieces = int(generator.integers(1, 4))
        ids += generator.choice(ORDINARY, pieces).tolist()
        words += [word] * pieces
        word += 1
    return pack([Document(ids[: count * (size - 2)], words[: count * (size - 2)])], size, [1], [2])


def all_targets(masked: Masked, seed: int | None = 1) -> tuple[Array, Array, Array, Array]:
    generator = None if seed is None else np.random.default_rng(seed)
    found = masked.targets(np.arange(len(masked.data)), generator)
    assert found.shown is not None
    return found.rows, found.columns, found.truth, found.shown


def test_the_share_of_each_block_is_masked_and_no_special_token() -> None:
    packed = blocks()
    rows, columns, truth, _ = all_targets(Masked(packed, MASK, ORDINARY, 0.15))

    assert np.bincount(rows).tolist() == [9] * len(packed)  # 15 % of 60
    assert not {0, 61} & set(columns.tolist())
    np.testing.assert_array_equal(truth, packed.encoded.ids[packed.encoded.offsets[rows] + columns])
    # Every place is as likely as every other: 200 blocks, so 30 times each, give or take.
    assert np.bincount(columns, minlength=62)[1:61].min() > 10


def test_eighty_percent_are_hidden_ten_are_another_token_ten_are_shown() -> None:
    _, _, truth, shown = all_targets(Masked(blocks(), MASK, ORDINARY, 0.5))

    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == truth).mean() == pytest.approx(0.1, abs=0.02)
    assert np.isin(shown[shown != MASK], ORDINARY).all()


def test_the_pieces_of_a_word_are_masked_together() -> None:
    packed = blocks()
    rows, columns, _, _ = all_targets(Masked(packed, MASK, ORDINARY, 0.15, whole_words=True))

    for row in range(len(packed)):
        words = packed.words[packed.encoded.offsets[row] : packed.encoded.offsets[row + 1]]
        chosen = columns[rows == row]
        # All pieces of the words that have any.
        np.testing.assert_array_equal(chosen, np.flatnonzero(np.isin(words, words[chosen])))
    assert len(rows) == pytest.approx(9 * len(packed), rel=0.02)


def test_a_word_longer_than_the_share_is_masked_only_if_there_is_no_other() -> None:
    giant = pack([Document([10] * 50 + [11, 12], [0] * 50 + [1, 2])], 64)
    only = pack([Document([10] * 50, [0] * 50)], 64)

    columns = all_targets(Masked(giant, MASK, ORDINARY, 0.15, whole_words=True))[1]
    assert columns.tolist() == [50, 51]
    assert len(all_targets(Masked(only, MASK, ORDINARY, 0.15, whole_words=True))[1]) == 50


def test_a_block_of_one_token_has_one_target() -> None:
    masked = Masked(pack([Document([10], [0])], 8, [1], [2]), MASK, ORDINARY, 0.15)
    assert all_targets(masked)[1].tolist() == [1]


@pytest.mark.parametrize("whole", [False, True])
def test_the_evaluations_masks_never_change_and_do_not_depend_on_the_batch(whole: bool) -> None:
    masked = Masked(blocks(), MASK, ORDINARY, 0.15, whole)
    rows, columns, _, shown = all_targets(masked, None)

    for again in (
        all_targets(masked, None),
        all_targets(Masked(blocks(), MASK, ORDINARY, 0.15, whole), None),
    ):
        np.testing.assert_array_equal(columns, again[1])
        np.testing.assert_array_equal(shown, again[3])
    alone = masked.targets(np.array([17]), None)
    np.testing.assert_array_equal(alone.columns, columns[rows == 17])


def test_training_draws_new_masks_with_each_seed() -> None:
    masked = Masked(blocks(), MASK, ORDINARY, 0.15)
    first, again, other = (all_targets(masked, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other
