"""Whether a write failed for what the disk is, not for what we are."""

import errno

FULL = {errno.ENOSPC, errno.EDQUOT}


def disk_full(error: BaseException) -> bool:
    """Whether a write failed for lack of space; safetensors and zipfile don't all raise an OSError."""
    return _is_one_of(FULL, error)


def read_only(error: BaseException) -> bool:
    """Whether it failed because nothing can be written there any more: a disk with errors is mounted anew like that."""
    return _is_one_of({errno.EROFS}, error)


def _is_one_of(numbers: set[int], error: BaseException) -> bool:
    texts = tuple(f"os error {number})" for number in numbers)
    return (isinstance(error, OSError) and error.errno in numbers) or any(
        text in str(error) for text in texts
    )
