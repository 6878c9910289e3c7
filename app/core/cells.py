"""Cells of tables that leave the house: what a spreadsheet would run as a formula stays a text."""

import re
from typing import Any

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")


def neutralised(cell: Any) -> Any:
    """A text that begins with = + - @, a tab or a carriage return gets an apostrophe before it; plain numbers and
    everything else stay as they are (OWASP, "CSV Injection")."""
    if not isinstance(cell, str) or not cell or cell[0] not in "=+-@\t\r":
        return cell
    return cell if _NUMBER.fullmatch(cell) else f"'{cell}"
