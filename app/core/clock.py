"""Time as the public interface shows it. A clock is a function that gives Unix seconds, so that tests pass their own."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def rfc3339(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339 UTC with Z, to the millisecond; None stays None."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
