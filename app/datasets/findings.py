"""What reading a file found, in the words of a person."""

from collections.abc import Sequence
from typing import Literal

from app.core.errors import Problem


class Finding(Problem):
    """A problem and how bad it is: an error stops the reading, a warning wants a look."""

    severity: Literal["error", "warning"]


def warning(where: str, message: str) -> Finding:
    return {"where": where, "message": message, "severity": "warning"}


def lines_text(lines: Sequence[int], total: int) -> str:
    """ "line 4", "lines 4, 9 and 12", "lines 4, 9, 12, … (the first 3 of 80)"; all of JSON may be "line 1"."""
    if len(set(lines)) == 1:
        return f"line {lines[0]}"
    if total > len(lines):
        return f"lines {', '.join(map(str, lines))}, … (the first {len(lines)} of {total:,})"
    return f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"
