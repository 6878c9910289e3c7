"""A JSON list of objects, one a row, cut out of the text one after the other: memory holds one object and a megabyte. The list
is the whole file, or stands under one key of an object, as {"version": 2, "data": [{…}, {…}]}; or there is a list for each
part, as {"train": [{…}], "test": [{…}]}.

Own work over the standard library's decoder, because no streaming parser tells the line of a row and leaves 1.50 as its
author wrote it.
"""

import io
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.core.spec import PART_COLUMN
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding, warning
from app.datasets.parts import part_named
from app.datasets.profile import Profile
from app.datasets.readers.json_rows import ROWS_KEYS, Entry, JsonRows
from app.datasets.readers.json_text import CUT_OBJECT, SPACE, Text, broken, entry_of, items, key_of
from app.datasets.readers.json_values import Refused, decoder, is_object, object_of
from app.datasets.readers.source import Source, open_text
from app.datasets.roles import LABEL_NAMES, TEXT_NAMES

_KEY, _COLON, _ROWS = re.compile(r'\s*"'), re.compile(r"\s*:\s*"), re.compile(r"\[\s*\{")
_SPACES = re.compile(r"\s*")
# An object that has one of these is a row, and its list is a cell, as the spans of a text or the turns of a chat.
_OF_A_ROW = {
    *TEXT_NAMES,
    *LABEL_NAMES,
    "tokens",
    "entities",
    "spans",
    "messages",
    "conversations",
    "conversation",
}


class JsonArray(JsonRows):
    """See JsonRows. A fault of the list itself (a comma, a bracket) ends the reading: what follows has no beginning."""

    format = "json"
    nothing = "an empty list"

    def __init__(self, path: Path, encoding: Encoding, progress: Callable[[int], None]) -> None:
        self._path, self._encoding = path, encoding
        self._source: Source | None = None
        # The keys of the rows in an object, and the other keys.
        self._keys_of_rows: list[str] = []
        self._beside: list[str] = []
        # What the rows under each key are, where there are several; how many there are.
        self._parts: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._text: io.TextIOWrapper | None = None
        try:
            super().__init__(progress)
            if len(self._keys_of_rows) > 1:
                self._parts = _parts(self._keys_of_rows, self.names)
                self.names.append(PART_COLUMN)
        except BaseException:
            self.close()
            raise

    @property
    def _taken(self) -> int:
        return self._source.taken if self._source else 0

    def close(self) -> None:
        if self._text:
            self._text.close()

    def entries(self) -> Iterator[Entry]:
        self.close()
        self._source, self._text = open_text(self._path, self._encoding, endless=True)
        text = Text(self._text)
        char, what = text.next(), "list"
        if char == "{":
            yield from self._under_a_key(text)
            what = "object"
        elif char == "[":
            yield from items(text)
        else:
            raise broken(text, "does not begin with [")
        if char := text.next():
            raise broken(
                text,
                f"there is something behind the end of the {what}: {char!r}. If {what}s were joined, join their rows",
            )

    def _under_a_key(self, text: Text) -> Iterator[Entry]:
        self._keys_of_rows, self._beside = [], []
        while text.next() != "}":
            text.skip(1)  # the brace, or the comma
            key = key_of(text)
            if text.next() != "[":
                entry_of(text)
                self._beside.append(key)
            else:
                rows = items(text)
                first = next(rows, None)
                if first is None or not isinstance(first[2], dict):
                    deque(rows, maxlen=0)
                    self._beside.append(key)
                else:
                    self._keys_of_rows.append(key)
                    _check_parts(self._keys_of_rows)
                    yield first
                    yield from rows
            if (char := text.next()) not in (",", "}"):
                raise broken(text, f"a comma or }} is needed before {char!r}" if char else CUT_OBJECT)
        if not self._keys_of_rows:
            raise broken(text, "the object has no list of objects under one of its keys")
        text.skip(1)

    def warnings(self, profile: Profile) -> list[Finding]:
        found = super().warnings(profile)
        if self._keys_of_rows:
            keys = " and ".join(repr(key[:100]) for key in self._keys_of_rows)
            lists = (
                f"The rows are the lists under the keys {keys}, and the column {PART_COLUMN} says which"
                if self._parts
                else f"The rows are the list under the key {keys}"
            )
            others = ", ".join(repr(key[:100]) for key in self._beside[:5])
            beside = "them" if self._parts else "it"
            more = f"; what stands beside {beside} is left out: {others}" if others else ""
            found.append(warning("rows", f"{lists}{more}."))
        return found

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        for cells, line in super()._rows():
            if self._parts:
                key = self._keys_of_rows[-1]  # under which this pass is
                self._counts[key] += 1
                cells = [*cells, self._parts[key]]
            yield cells, line

    def used(self) -> dict[str, Any]:
        files = [{"name": key, "part": part, "rows": self._counts[key]} for key, part in self._parts.items()]
        return {**super().used(), **({"files": files} if files else {})}


def wraps_rows(head: str, complete: bool) -> bool:
    """Whether a file that begins with `head` is one object that holds its rows in a list under a key, and no row itself."""
    lines = [line for line in head.splitlines() if line.strip(SPACE)]
    if not lines or not lines[0].lstrip(SPACE).startswith("{") or (len(lines) > 1 and is_object(lines[0])):
        return False
    keys: list[str] = []
    found = None
    at = head.index("{")
    try:
        while found is None and (begun := _KEY.match(head, at + 1)):
            key, end = decoder.raw_decode(head, begun.end() - 1)
            colon = _COLON.match(head, end)
            if colon is None:
                return False
            if _ROWS.match(head, colon.end()):
                found = key
            else:
                keys.append(key)
                at = _SPACES.match(head, decoder.raw_decode(head, colon.end())[1]).end()  # type: ignore[union-attr]
    except (ValueError, Refused, RecursionError):
        return False
    if found is None:
        return False
    if complete and is_object(head):
        keys = list(object_of(head))
    return found.casefold() in ROWS_KEYS or not any(key.casefold() in _OF_A_ROW for key in (found, *keys))


def _check_parts(keys: Sequence[str]) -> None:
    """Raises Invalid for several lists that are not train, validation and test."""
    parts = [part_named(key) for key in keys]
    if len(keys) > 1 and (None in parts or len(set(parts)) < len(parts)):
        raise Invalid(
            f"The file is one JSON object with rows under two keys, {keys[0][:100]!r} and {keys[-1][:100]!r}. Call them train, "
            "validation and test if that is what they are, or save each list as a file of its own.",
            kind="json",
        )


def _parts(keys: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Key → train, validation or test. Raises Invalid."""
    parts = {key: part_named(key) or "" for key in keys}
    if "train" not in parts.values():
        raise Invalid(
            f"The file is one JSON object with rows under {' and '.join(map(repr, keys))}, and none to train on. Put those under "
            "the key 'train', or save each list as a file of its own.",
            kind="json",
        )
    if PART_COLUMN in names:
        raise Invalid(
            f"The rows have the key {PART_COLUMN!r}, the name that Headstart gives to the column which says train, validation or "
            "test. Rename it, or save all rows as one list and split by that column.",
            [{"where": f"column {PART_COLUMN}", "message": "is a name that Headstart needs"}],
            kind="json",
        )
    return parts
