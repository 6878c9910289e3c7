"""Waiting for another process: poll until it is so, or fail with a sentence. The limit only ends a hang."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_never = threading.Event()


def until(condition: Callable[[], T | None], what: str, limit: float = 300.0) -> T:
    """The first true value of `condition`."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        _never.wait(0.02)
    raise AssertionError(f"waited in vain for {what}")
