"""Memory that runs out: told from a bug, and fewer rows at a time until it suffices."""

import numpy as np
import pytest
import torch

from worker.memory import TooManyRows, Trial, halved, in_parts, memory_full
from worker.ranks import ALONE, Ranks


def allocate(rows: int) -> torch.Tensor:
    """`rows` numbers; above 4 rows more than any machine has."""
    return torch.zeros(rows if rows <= 4 else 2**58)


def test_memory_that_ran_out_is_told_from_a_bug() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    assert memory_full(caught.value)
    assert memory_full(MemoryError())
    assert memory_full(RuntimeError("could not create a primitive"))
    assert not memory_full(RuntimeError("The size of tensor a must match the size of tensor b"))


def test_what_does_not_fit_is_done_in_halves() -> None:
    rows = np.arange(13)
    found = in_parts(lambda part: (allocate(len(part)), part)[1], rows)
    assert [len(part) for part in found] == [3, 3, 3, 4]
    np.testing.assert_array_equal(np.concatenate(found), rows)
    assert in_parts(len, [1, 2, 3]) == [3]


def test_what_does_not_fit_at_all_and_what_is_no_lack_of_memory_is_raised() -> None:
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        in_parts(lambda _part: allocate(5), list(range(8)))
    with pytest.raises(ValueError, match="a bug"):
        in_parts(lambda _part: _bug(), list(range(8)))


def test_a_trial_tells_whether_it_fitted() -> None:
    with Trial(8, ALONE) as fits:
        allocate(4)
    with Trial(8, ALONE) as full:
        allocate(8)
    assert (fits.full, full.full) == (False, True)
    with pytest.raises(RuntimeError, match="can't allocate memory"), Trial(1, ALONE):
        allocate(8)
    with pytest.raises(ValueError, match="a bug"), Trial(8, ALONE):
        _bug()


class Parted(Ranks):
    sharded = True


def test_where_each_process_holds_a_part_only_another_attempt_can_take_fewer_rows() -> None:
    with pytest.raises(TooManyRows, match="with 8 rows at a time"), Trial(8, Parted()):
        allocate(8)
    with pytest.raises(RuntimeError, match="can't allocate memory"), Trial(1, Parted()):
        allocate(8)
    with pytest.raises(ValueError, match="a bug"), Trial(8, Parted()):
        _bug()


def test_there_is_always_a_row_left() -> None:
    assert [halved(rows) for rows in (32, 5, 2, 1)] == [16, 2, 1, 1]


def _bug() -> None:
    raise ValueError("a bug")
