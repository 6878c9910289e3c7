"""JSON lines: one object a line. The columns are the keys of all lines, in the order of their first appearance."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding, lines_text, warning
from app.datasets.header import MAX_COLUMNS
from app.datasets.profile import Profile
from app.datasets.readers.source import Block, Faults, Lines, in_blocks

_HELP = 'Write each row as one object on a line of its own, as {"text": "…", "label": "…"}.'
_DOCUMENT = (
    "The file is one JSON {what}, and Headstart reads JSON lines: one object on each line, without brackets or commas "
    'between them. pandas writes that with df.to_json("data.jsonl", orient="records", lines=True).'
)
_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", type(None): "null"}
_TELL_EVERY = 8 * 2**20  # bytes
_LINES_KEPT = 20


class JsonLines:
    """Strings stay as they are; numbers and booleans become their JSON text; null, NaN and a missing key become "";
    lists and objects become compact JSON text.

    Opening reads the whole file once for its keys, calls `progress` with half the bytes read, and raises Invalid for
    the lines that are no object and for keys that can name no column.
    """

    def __init__(self, path: Path, encoding: Encoding, progress: Callable[[int], None]) -> None:
        self._scanned = 0
        self._halved: list[int] = []  # the first lines with half a character
        self._halves = 0
        self._lines = Lines(path, encoding)
        try:
            self.names = self._keys(progress)
        finally:
            self._lines.close()
        self._scanned = self._lines.bytes_read
        self._lines = Lines(path, encoding)

    @property
    def bytes_read(self) -> int:
        return (self._scanned + self._lines.bytes_read) // 2

    def close(self) -> None:
        self._lines.close()

    def _keys(self, progress: Callable[[int], None]) -> list[str]:
        keys: dict[str, None] = {}
        faults, rows, told = Faults("json", _HELP), 0, 0
        for number, line in self._lines:
            if self._lines.bytes_read - told >= 2 * _TELL_EVERY:
                told = self._lines.bytes_read
                progress(self.bytes_read)
            if not line.strip():
                continue
            rows += 1
            try:
                found = _object(line)
            except _Refused as refused:
                if rows == 1:
                    _refuse_document(line)
                faults.add(number, str(refused))
                continue
            if found.keys() <= keys.keys():
                continue
            for key in found:
                if key not in keys and (wrong := _no_name(key)):
                    faults.add(number, wrong)
                keys[key] = None
            if len(keys) > MAX_COLUMNS:
                raise Invalid(
                    f"Up to line {number} the objects have {len(keys):,} different keys, and Headstart reads at most "
                    f"{MAX_COLUMNS:,} columns. Keep the keys with text and labels only.",
                    kind="header",
                )
        faults.refuse()
        if not keys:
            what = "objects without keys" if rows else "only blank lines"
            raise Invalid(f"The file has no rows: it holds {what}. {_HELP}", kind="no_rows")
        return list(keys)

    def blocks(self) -> Iterator[Block]:
        return in_blocks(self._rows(), len(self.names))

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        for number, line in self._lines:
            if not line.strip():
                continue
            try:
                found = _object(line)
                cells = [_cell(found.get(name)) for name in self.names]
            except _Refused as refused:
                faults = Faults("json")
                faults.add(number, str(refused))
                faults.refuse()
                raise AssertionError("refuse raises") from refused
            if _may_have_half(line):
                whole = list(map(_whole, cells))
                if whole != cells:
                    self._note_half(number)
                    cells = whole
            yield cells, number

    def _note_half(self, line: int) -> None:
        self._halves += 1
        if len(self._halved) < _LINES_KEPT:
            self._halved.append(line)

    def check(self, profile: Profile) -> None:
        """Opening has seen it all."""

    def warnings(self, profile: Profile) -> list[Finding]:
        if not self._halves:
            return []
        lines = lines_text(self._halved, self._halves)
        message = f"Half a character (a \\ud83d without its other half, as in an emoji that was cut) became \ufffd: {lines}."
        return [warning("characters", message)]

    def used(self) -> dict[str, Any]:
        return {"format": "jsonl", "delimiter": None, "header": None}


class _Refused(Exception):
    """A line that is no row, with the reason."""


class _Number(float):
    """A number with a fraction or exponent, as it was written: 1.50 is not 1.5 to its author."""

    text: str

    def __new__(cls, text: str) -> "_Number":
        made = super().__new__(cls, text)
        made.text = text
        return made


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return bool(line.lstrip().startswith("{") and _object(line) is not None)
    except _Refused:
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"has the key {twice[:100]!r} more than once in one object")
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_Number,
    parse_constant=lambda name: (
        None if name == "NaN" else _Number(name)
    ),  # pandas means a missing value by NaN
)


def _object(line: str) -> dict[str, Any]:
    try:
        found = _decoder.decode(line)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise _Refused(f"is no JSON object: {what} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise _Refused("is nested too deeply") from error
    except ValueError as error:  # int() takes at most 4,300 digits
        raise _Refused("has a number with too many digits; put it in quotes") from error
    if not isinstance(found, dict):
        raise _Refused(f"is no JSON object: it is {_KINDS.get(type(found), 'a number')}")
    if _may_have_half(line):
        found = {_whole(key): value for key, value in found.items()}
    return found


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, _Number):
        return value.text
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError as error:
        raise _Refused("is nested too deeply") from error
    except ValueError as error:
        raise _Refused("has a list with a number that is out of range, as 1e999") from error


def _may_have_half(line: str) -> bool:
    return "\\ud" in line or "\\uD" in line


def _whole(text: str) -> str:
    """U+FFFD for each half of a surrogate pair, which no file can hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _no_name(key: str) -> str | None:
    if not key.strip():
        return "has a key without a name, which can name no column; give it one"
    if key.startswith("__"):
        return f"has the key {key[:100]!r}: names that begin with two underscores are reserved, so rename it"
    return None


def _refuse_document(line: str) -> None:
    """Raises Invalid if the first line begins a JSON document that goes on over the others, or is a list of rows."""
    if line.strip() == "{":
        raise Invalid(_DOCUMENT.format(what="object over several lines"), kind="json")
    if line.lstrip().startswith("["):
        try:
            rows = json.loads(line)
        except (ValueError, RecursionError):
            rows = [{}]
        if any(isinstance(row, dict) for row in rows):
            raise Invalid(_DOCUMENT.format(what="list"), kind="json")
