"""What happens when the memory is too small for so many rows at a time: half as many are tried."""

import contextlib
import ctypes
import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from worker.ranks import Ranks

Found = TypeVar("Found")
Items = TypeVar("Items", list[int], npt.NDArray[np.int64])

# By torch's allocator (Linux, elsewhere), C++ and oneDNN, seen under a limit of the address space.
SAID = ("can't allocate memory", "not enough memory", "bad_alloc", "could not create a primitive")


def memory_full(error: BaseException) -> bool:
    """Whether memory ran out, on the GPU or here, where torch's allocator and oneDNN raise a plain RuntimeError."""
    said = isinstance(error, RuntimeError) and any(text in str(error) for text in SAID)
    return said or isinstance(error, torch.OutOfMemoryError | MemoryError)


def gpu_reserved() -> int | None:
    """Bytes that this process holds on its GPU; None without one."""
    return torch.cuda.memory_reserved() if torch.cuda.is_available() else None


class TooManyRows(Exception):
    """Memory ran out where only another attempt can take fewer rows at a time."""

    def __init__(self, rows: int) -> None:
        super().__init__(f"memory ran out with {rows} rows at a time")
        self.rows = rows


class Trial(AbstractContextManager["Trial"]):
    """One try at a step in parts of at most `rows` rows.

    Afterwards `full` tells whether memory ran out, in this process or in another of the run's. With parts of one row that
    is an error, as anything else is. Where each process holds a part of the model only, the others can't be told, for they
    wait in the middle of a block: it raises TooManyRows.
    """

    def __init__(self, rows: int, ranks: Ranks) -> None:
        self.rows, self._ranks = rows, ranks
        self.full = False

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        here = error is not None and memory_full(error)
        if error is not None and (self.rows == 1 or not here):
            return False
        if here and self._ranks.sharded:
            raise TooManyRows(self.rows) from error
        self.full = self._ranks.any(here)
        return here


def halved(rows: int) -> int:
    """Half as many rows, at least one; what a failed try has left is freed.

    Call it where the error is gone: its traceback holds on to all tensors of the try.
    """
    gc.collect()
    with contextlib.suppress(
        OSError, AttributeError
    ):  # what glibc keeps, others (oneDNN's kernels) can't have
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # large free blocks that smaller parts would cut up (untested on a GPU)
    return max(1, rows // 2)


def in_parts(work: Callable[[Items], Found], items: Items) -> list[Found]:
    """What `work(items)` gives; where memory runs out, what it gives for the first half and for the second, and so on.

    Raises what `work` raises for a single item.
    """
    try:
        return [work(items)]
    except (RuntimeError, MemoryError) as error:
        if len(items) == 1 or not memory_full(error):
            raise
    half = halved(len(items))
    return in_parts(work, items[:half]) + in_parts(work, items[half:])
