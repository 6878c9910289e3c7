from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from worker.batches import collate, epoch_batches, eval_batches, micro_batches
from worker.encode import Encoded

LENGTHS = np.random.default_rng(0).integers(3, 60, 1003).astype(np.int32)


def encoded(rows: list[list[int]], types: bool = False) -> Encoded:
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    ids = np.array([one for row in rows for one in row], dtype=np.int32)
    return Encoded(
        ids=ids,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        lengths=lengths,
        truncated=np.zeros(0, dtype=np.int64),
        token_type_ids=np.ones_like(ids) if types else None,
    )


@pytest.mark.parametrize(("rows", "size"), [(1003, 16), (1000, 8), (5, 8), (1, 1), (17, 4)])
def test_an_epoch_has_each_row_once_in_as_few_batches_as_can_be(rows: int, size: int) -> None:
    batches = epoch_batches(LENGTHS[:rows], size, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(rows))
    assert len(batches) == -(-rows // size)
    assert max(map(len, batches)) <= size


def test_the_order_is_a_pure_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        np.random.seed(len(str(seed)))  # what others draw is of no matter
        flat: list[int] = np.concatenate(epoch_batches(LENGTHS, 16, seed, epoch)).tolist()
        return flat

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_rows_of_like_length_share_a_batch() -> None:
    def padded(batches: list[np.ndarray]) -> int:
        return sum(int(LENGTHS[rows].max()) * len(rows) for rows in batches)

    assert padded(epoch_batches(LENGTHS, 16, 1, 0)) < 1.2 * LENGTHS.sum()


def test_a_small_data_set_gets_other_batches_in_each_epoch() -> None:
    first, second = (
        {frozenset(rows.tolist()) for rows in epoch_batches(LENGTHS[:64], 8, 1, epoch)} for epoch in (0, 1)
    )
    assert len(first & second) <= 1


def test_evaluation_batches_begin_with_the_longest_and_know_no_seed() -> None:
    batches = eval_batches(LENGTHS, 64)
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(LENGTHS)))
    assert (np.diff(LENGTHS[order]) <= 0).all()
    assert eval_batches(LENGTHS[:0], 64) == []


def parts(rows: list[int], tokens: int, most: int) -> list[list[int]]:
    lengths = np.array([2, 2, 3, 5, 9, 1], dtype=np.int32)
    return [part.tolist() for part in micro_batches(np.array(rows, dtype=np.int64), lengths, tokens, most)]


def test_micro_batches_part_a_step_in_order_by_rows_and_by_tokens() -> None:
    assert parts([0, 1, 2, 3, 4], 100, 2) == [[0, 1], [2, 3], [4]]
    assert parts([0, 1, 2, 3, 4], 9, 5) == [[0, 1, 2], [3], [4]]
    assert parts([4, 5, 0], 18, 5) == [[4, 5], [0]]  # padded to the longest of the part
    assert parts([0, 1, 2, 3, 4], 45, 5) == [[0, 1, 2, 3, 4]]


def test_a_row_that_is_too_long_is_a_part_of_its_own_and_no_rows_are_no_part() -> None:
    assert parts([0, 4, 5], 4, 5) == [[0], [4], [5]]
    assert parts([], 4, 5) == []


def test_short_rows_take_fewer_parts_in_the_same_memory() -> None:
    rows = epoch_batches(LENGTHS, 256, 0, 0)[0]
    longest = int(LENGTHS.max())
    found = list(micro_batches(rows, LENGTHS, 8 * longest, len(rows)))
    assert np.concatenate(found).tolist() == rows.tolist()
    assert all(len(part) * int(LENGTHS[part].max()) <= 8 * longest for part in found)
    assert len(found) < len(rows) / 8


def test_parts_are_the_cheapest_there_are() -> None:
    """Against every way to part eight rows."""
    generator = np.random.default_rng(0)
    for trial in range(30):
        lengths = generator.integers(1, 30, 8).astype(np.int32)
        rows, tokens, most, cost = np.arange(8), int(generator.integers(10, 120)), trial % 8 + 1, 5 * trial

        def price(ends: list[int], lengths: Any = lengths, cost: int = cost) -> int:
            begins = [0, *ends[:-1]]
            return sum(
                (end - begin) * int(lengths[begin:end].max()) + cost
                for begin, end in zip(begins, ends, strict=True)
            )

        def fits(ends: list[int], lengths: Any = lengths, tokens: int = tokens, most: int = most) -> bool:
            sizes = [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
            starts = [0, *ends[:-1]]
            return all(
                size == 1 or (size <= most and size * int(lengths[begin : begin + size].max()) <= tokens)
                for begin, size in zip(starts, sizes, strict=True)
            )

        ways = [[*inner, 8] for count in range(8) for inner in combinations(range(1, 8), count)]
        found = np.cumsum([len(part) for part in micro_batches(rows, lengths, tokens, most, cost)]).tolist()
        assert fits(found)
        assert price(found) == min(price(way) for way in ways if fits(way))


def test_batches_that_are_not_alike_are_drawn_at_random_and_each_is_sorted() -> None:
    batches = epoch_batches(LENGTHS, 16, 1, 0, alike=False)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    assert all((np.diff(LENGTHS[rows]) >= 0).all() for rows in batches)
    spread = np.mean([LENGTHS[rows].std() for rows in batches])
    assert spread > 0.9 * LENGTHS.std()
    assert spread > 2 * np.mean([LENGTHS[rows].std() for rows in epoch_batches(LENGTHS, 16, 1, 0)])


def test_a_batch_is_padded_to_its_longest_row_and_always_masked() -> None:
    data = encoded([[5, 6, 7], [8], [9, 9, 9, 9, 9], [1, 2]], types=True)
    batch = collate(data, np.array([3, 0]), 0, torch.device("cpu"), np.array([10, 11, 12, 13]))
    assert batch["input_ids"].tolist() == [[1, 2, 0], [5, 6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["labels"].tolist() == [13, 10]
    alone = collate(encoded([[5, 6]]), np.array([0]), 7, torch.device("cpu"))
    assert alone["attention_mask"].tolist() == [[1, 1]]
    assert set(alone) == {"input_ids", "attention_mask"}
