"""The parts of a data set, and which of them a file is, by its name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

PARTS = ("train", "validation", "test")
SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def part_named(cell: str) -> str | None:
    """The part that a cell of a split column names: train, validation (also valid, val, dev), test; None for all else."""
    return SPELLINGS.get(cell.strip().casefold())


def part_of(name: str) -> str | None:
    """The part that a file's name, or a folder of it, says: "data/train-00000.csv" is train; None where it says none or two."""
    for step in reversed(re.split(r"[/\\]", name.casefold())):
        found = {SPELLINGS[word] for word in re.findall(r"[a-z]+", step) if word in SPELLINGS}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def part_column(about: Mapping[str, Any], read: Sequence[str | None]) -> str | None:
    """A column whose values all name parts, train among them. `about`: the columns of a profile; `read`: those that are something else."""
    for name, column in about.items():
        parts = {part_named(value) for value in column.get("counts") or {}}
        if (
            name not in read
            and "train" in parts
            and len(parts) > 1
            and None not in parts
            and not column["empty"]
        ):
            return name
    return None
