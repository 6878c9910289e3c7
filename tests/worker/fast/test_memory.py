"""Memory that is kept between steps: counted in page faults, not in time."""

import ctypes
import resource

import pytest
import torch

from worker.fast import memory

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="another malloc than glibc's"
)


def faults() -> int:
    """Pages that the system gives for ten blocks of 64 MB, each freed before the next."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16 * 2**20).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_large_blocks_are_used_again_inside_and_given_back_outside() -> None:
    before = faults()
    with memory.kept():
        inside = faults()
    assert inside < before / 2
    assert faults() > 2 * inside
