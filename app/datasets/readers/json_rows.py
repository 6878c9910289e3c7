"""Rows that are JSON objects, however they stand in the file. The columns are the keys of all rows, in the order of their
first appearance."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from app.core.errors import Invalid
from app.datasets.findings import Finding, lines_text, warning
from app.datasets.header import MAX_COLUMNS, clean, not_ours
from app.datasets.profile import Profile
from app.datasets.readers.json_values import Refused, cell, may_have_half, no_name, whole
from app.datasets.readers.source import Block, Faults, in_blocks

HELP = 'Write each row as one object on a line of its own, as {"text": "…", "label": "…"}.'
PANDAS = 'pandas writes that with df.to_json("data.jsonl", orient="records", lines=True).'
_TELL_EVERY = 8 * 2**20  # bytes
_LINES_KEPT = 20
ROWS_KEYS = ("data", "rows", "records", "items", "examples", "instances", "features")

# Where a row begins, how it is written, and the object, or why it is none.
Entry = tuple[int, str, dict[str, Any] | Refused]


class JsonRows(ABC):
    """Strings stay as they are; numbers and booleans become their JSON text; null, NaN and a missing key become "";
    lists and objects become compact JSON text.

    Opening reads the whole file once for its keys, calls `progress` with half the bytes read, and raises Invalid for
    the rows that are no object and for keys that can name no column.
    """

    format: str
    nothing: str  # what a file without rows holds

    def __init__(self, progress: Callable[[int], None]) -> None:
        self._scanned = 0
        self._halved: list[int] = []  # the first lines with half a character
        self._halves = 0
        # Keys, each with the name of its column.
        self._columns = self._keys(progress)
        self.names = list(self._columns.values())
        self._scanned = self._taken

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """The rows, from the first one at each call."""

    @property
    @abstractmethod
    def _taken(self) -> int:
        """The bytes that the current pass has read."""

    @abstractmethod
    def close(self) -> None: ...

    @property
    def bytes_read(self) -> int:
        return (self._scanned + self._taken) // 2

    def _keys(self, progress: Callable[[int], None]) -> dict[str, str]:
        keys: dict[str, str] = {}
        names: set[str] = set()
        faults, rows, told = Faults("json", HELP), 0, 0
        only: dict[str, Any] = {}
        for number, line, found in self.entries():
            if self._taken - told >= 2 * _TELL_EVERY:
                told = self._taken
                progress(self.bytes_read)
            rows += 1
            if isinstance(found, Refused):
                if rows == 1:
                    self._refuse_document(line)
                faults.add(number, str(found))
                continue
            only = found if rows == 1 else {}
            if found.keys() <= keys.keys():
                continue
            for key in found:
                if key in keys:
                    continue
                name = keys[key] = not_ours(clean(key))
                if wrong := no_name(key, name, name in names):
                    faults.add(number, wrong)
                names.add(name)
            if len(keys) > MAX_COLUMNS:
                raise Invalid(
                    f"Up to line {number} the objects have {len(keys):,} different keys, and Headstart reads at most "
                    f"{MAX_COLUMNS:,} columns. Keep the keys with text and labels only.",
                    kind="header",
                )
        faults.refuse()
        _refuse_whole(only)
        if not keys:
            what = "objects without keys" if rows else self.nothing
            raise Invalid(f"The file has no rows: it holds {what}. {HELP}", kind="no_rows")
        return keys

    def _refuse_document(self, line: str) -> None:
        """Raises Invalid if the first line shows that the file is another kind of JSON."""
        return

    def blocks(self) -> Iterator[Block]:
        return in_blocks(self._rows(), len(self.names))

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        for number, line, found in self.entries():
            try:
                if isinstance(found, Refused):
                    raise found
                cells = [cell(found.get(key)) for key in self._columns]
            except Refused as refused:
                faults = Faults("json")
                faults.add(number, str(refused))
                faults.refuse()
                raise AssertionError("refuse raises") from refused
            if may_have_half(line):
                repaired = list(map(whole, cells))
                if repaired != cells:
                    self._note_half(number)
                    cells = repaired
            yield cells, number

    def _note_half(self, line: int) -> None:
        self._halves += 1
        if len(self._halved) < _LINES_KEPT:
            self._halved.append(line)

    def check(self, profile: Profile) -> None:
        """Opening has seen it all."""
        return

    def warnings(self, profile: Profile) -> list[Finding]:
        found = [
            warning(
                f"column {name}",
                f"Is called {key[:100]!r}, and names that begin with two underscores are Headstart's own.",
            )
            for key, name in self._columns.items()
            if key.startswith("__")
        ]
        if self._halves:
            lines = lines_text(self._halved, self._halves)
            message = f"Half a character (a \\ud83d without its other half, as in an emoji that was cut) became \ufffd: {lines}."
            found.append(warning("characters", message))
        return found

    def used(self) -> dict[str, Any]:
        return {"format": self.format, "delimiter": None, "header": None}


def _refuse_whole(only: dict[str, Any]) -> None:
    """Raises Invalid for a file of one object that holds the rows of a table: by columns, or as a list under a key."""
    values = list(only.values())
    for key, value in only.items():
        alone = len(values) == 1 or key.casefold() in ROWS_KEYS
        if alone and isinstance(value, list) and any(isinstance(item, dict) for item in value):
            raise Invalid(
                f"The file is one JSON object with its rows under the key {key[:100]!r}. Save that list alone as "
                f"a JSON list, or each row on a line of its own. {PANDAS}",
                kind="json",
            )
    if {"columns", "data"} <= only.keys() and all(isinstance(only[key], list) for key in ("columns", "data")):
        raise Invalid(
            "The file is one JSON object with the columns' names apart from the rows, and Headstart reads a list of rows, or "
            f"one on each line. {PANDAS}",
            kind="json",
        )
    if _has_columns(values):
        raise Invalid(
            "The file is one JSON object with a column under each key, and Headstart reads a list of rows, or one "
            f"on each line. {PANDAS}",
            kind="json",
        )


def _has_columns(values: list[Any]) -> bool:
    """As pandas writes them, {"0": …, "1": …}, or lists; a row of tokens and tags has no white space in them."""
    if values and all(isinstance(value, dict) and value for value in values):
        return next(iter(values[0])) == "0" and all(value.keys() == values[0].keys() for value in values)
    if not all(isinstance(value, list) for value in values):
        return False
    return any(
        len(value) > 1 and isinstance(item, str) and len(item.split()) > 1
        for value in values
        for item in value
    )
