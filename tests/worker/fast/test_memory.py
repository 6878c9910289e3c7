"""Memory that is kept between steps: counted in page faults, not in time, and in a process of its own, as a trainer is one."""

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="another malloc than glibc's"
)

SCRIPT = """
import resource, torch
from worker.fast import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16 * 2**20).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with memory.kept():
    faults()  # makes room: where small blocks lie in between, more than one block's
    inside = faults()
print(before, inside, faults())
"""


def test_large_blocks_are_used_again_inside_and_given_back_outside() -> None:
    """The pages that the system gives for ten blocks of 64 MB, each freed before the next; inside, for the second ten."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, inside, after = map(int, told.stdout.split())
    assert inside < before / 2
    assert after > 2 * inside
