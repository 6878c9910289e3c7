"""Cells that hold a list of strings as JSON, as the tokens of a sentence do."""

import json


def strings_in(cell: str) -> list[str] | None:
    """The strings; None for any other cell."""
    if not cell.lstrip().startswith("["):
        return None
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def as_text(cell: str) -> str:
    """The strings with spaces between them; any other cell as it is."""
    found = strings_in(cell)
    return cell if found is None else " ".join(found)


def written(strings: list[str]) -> str:
    return json.dumps(strings, ensure_ascii=False, separators=(",", ":"))
