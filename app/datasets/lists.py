"""Cells that hold several values: strings as JSON, as the tokens of a sentence, or labels, as a|b or as JSON."""

import json
from collections.abc import Sequence
from typing import Any

SEPARATOR = "|"  # of labels


def strings_in(cell: str) -> list[str] | None:
    """The strings; None for any other cell."""
    return _list_of(cell, str)


def as_text(cell: str) -> str:
    """The strings with spaces between them; any other cell as it is."""
    found = strings_in(cell)
    return cell if found is None else " ".join(found)


def written(strings: list[str]) -> str:
    return json.dumps(strings, ensure_ascii=False, separators=(",", ":"))


def labels_in(cell: str) -> list[str]:
    """The labels of a cell, a|b or ["a","b"], each once."""
    found: Sequence[object] | None = values_in(cell)
    parts = cell.split(SEPARATOR) if found is None else map(str, found)
    return list(dict.fromkeys(label for part in parts if (label := part.strip())))


def with_labels(cell: str, labels: Sequence[str]) -> str:
    """These labels, written as those of `cell` are."""
    return SEPARATOR.join(labels) if values_in(cell) is None else written(list(labels))


def values_in(cell: str) -> list[str | int] | None:
    """The strings and whole numbers of a list; None for any other cell."""
    return _list_of(cell, str, int)


def _list_of(cell: str, *types: type) -> list[Any] | None:
    if not cell.lstrip().startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(type(one) in types for one in found) else None
