"""Whether a write failed for lack of space."""

import errno


def disk_full(error: BaseException) -> bool:
    """Whether a write failed for lack of space; safetensors and zipfile don't all raise an OSError."""
    full = {errno.ENOSPC, errno.EDQUOT}
    texts = tuple(f"os error {number})" for number in full)
    return (isinstance(error, OSError) and error.errno in full) or any(text in str(error) for text in texts)
