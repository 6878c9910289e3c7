"""A JSON list of objects, one a row, cut out of the text one after the other: memory holds one object and a megabyte. The list
is the whole file, or stands under one key of an object, as {"version": 2, "data": [{…}, {…}]}.

Own work over the standard library's decoder, because no streaming parser tells the line of a row and leaves 1.50 as its
author wrote it.
"""

import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding, warning
from app.datasets.profile import Profile
from app.datasets.readers.json_rows import ROWS_KEYS, Entry, JsonRows
from app.datasets.readers.json_values import (
    TOO_MANY_DIGITS,
    Refused,
    checked,
    decoder,
    is_object,
    object_of,
    syntax,
    whole,
)
from app.datasets.readers.source import CHUNK, MAX_CELL, Source, line_ends, open_text, too_long
from app.datasets.roles import LABEL_NAMES, TEXT_NAMES

_CUT = "the list does not end: its last ] is missing, so the file may have been cut off"
_CUT_OBJECT = "the object does not end: its last } is missing, so the file may have been cut off"
_SPACE = " \t\r\n\ufeff"
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
        # The key of the rows in an object, and the other keys.
        self._key: str | None = None
        self._beside: list[str] = []
        self._text: io.TextIOWrapper | None = None
        try:
            super().__init__(progress)
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
        text = _Text(self._text)
        char, what = text.next(), "list"
        if char == "{":
            yield from self._under_a_key(text)
            what = "object"
        elif char == "[":
            yield from _items(text)
        else:
            raise _broken(text, "does not begin with [")
        if char := text.next():
            raise _broken(
                text,
                f"there is something behind the end of the {what}: {char!r}. If {what}s were joined, join their rows",
            )

    def _under_a_key(self, text: "_Text") -> Iterator[Entry]:
        self._key, self._beside = None, []
        while text.next() != "}":
            text.skip(1)  # the brace, or the comma
            key = _key(text)
            if text.next() != "[":
                _entry(text)
                self._beside.append(key)
            else:
                items = _items(text)
                first = next(items, None)
                if first is None or not isinstance(first[2], dict):
                    deque(items, maxlen=0)
                    self._beside.append(key)
                elif self._key is not None:
                    raise _two_lists(self._key, key)
                else:
                    self._key = key
                    yield first
                    yield from items
            if (char := text.next()) not in (",", "}"):
                raise _broken(text, f"a comma or }} is needed before {char!r}" if char else _CUT_OBJECT)
        if self._key is None:
            raise _broken(text, "the object has no list of objects under one of its keys")
        text.skip(1)

    def warnings(self, profile: Profile) -> list[Finding]:
        found = super().warnings(profile)
        if self._key is not None:
            others = ", ".join(repr(key[:100]) for key in self._beside[:5])
            more = f"; what stands beside it is left out: {others}" if others else ""
            found.append(warning("rows", f"The rows are the list under the key {self._key[:100]!r}{more}."))
        return found


def wraps_rows(head: str, complete: bool) -> bool:
    """Whether a file that begins with `head` is one object that holds its rows in a list under a key, and no row itself."""
    lines = [line for line in head.splitlines() if line.strip(_SPACE)]
    if not lines or not lines[0].lstrip(_SPACE).startswith("{") or (len(lines) > 1 and is_object(lines[0])):
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


def _items(text: "_Text") -> Iterator[Entry]:
    """From [ to behind the ]."""
    text.skip(1)
    char, first = text.next(), True
    while char != "]" or not first:
        if not char:
            raise _broken(text, _CUT)
        yield _entry(text)
        first = False
        char = text.next()
        if char == "]":
            break
        if char != ",":
            raise _broken(text, f"a comma or ] is needed before {char!r}" if char else _CUT)
        text.skip(1)
        char = text.next()
        if char == "]":
            raise _broken(text, "a row is needed between the comma and the ]: remove the comma")
    text.skip(1)


def _key(text: "_Text") -> str:
    """The key that is next, and behind its colon."""
    if text.next() != '"':
        raise _broken(text, "a key in double quotes is needed" if text.next() else _CUT_OBJECT)
    _, written, _ = _entry(text)
    if text.next() != ":":
        raise _broken(text, "a colon is needed behind the key" if text.next() else _CUT_OBJECT)
    text.skip(1)
    return whole(str(json.loads(written)))


def _two_lists(first: str, second: str) -> Invalid:
    return Invalid(
        f"The file is one JSON object with rows under two keys, {first[:100]!r} and {second[:100]!r}. Save each list as a file of "
        "its own: several files are taken as the parts of one data set.",
        kind="json",
    )


def _entry(text: "_Text") -> Entry:
    line = text.line
    while True:
        try:
            found, end = decoder.raw_decode(text.buffer, text.position)
            if end < len(text.buffer) or text.ended:  # the number 12 may go on as 123
                break
        except json.JSONDecodeError as error:
            if text.ended:
                at = text.copy_to(error.pos)
                cut = at.position >= len(at.buffer.rstrip())
                raise _broken(at, _CUT if cut else syntax(error)) from error
            fault = error
        except RecursionError:
            raise _broken(text, "the row is nested too deeply") from None
        except Refused as refused:
            raise _broken(text, f"the row {refused}") from None
        except ValueError:
            raise _broken(text, f"the row {TOO_MANY_DIGITS}") from None
        if len(text.buffer) - text.position > MAX_CELL:
            # What goes wrong long before the end of what was read is a fault, and not a row that goes on.
            if len(text.buffer) - fault.pos > CHUNK and not fault.msg.startswith("Unterminated"):
                raise _broken(text.copy_to(fault.pos), syntax(fault))
            raise too_long(f"line {line}", "has a row that is longer")
        text.more()
    if end - text.position > MAX_CELL:
        raise too_long(f"line {line}", "has a row that is longer")
    written = text.buffer[text.position : end]
    text.skip(end - text.position)
    try:
        return line, written, checked(found, written)
    except Refused as refused:
        return line, written, refused


class _Text:
    """The text from `position` on; `line` and `column` are where that is."""

    def __init__(
        self, file: io.TextIOWrapper | None, buffer: str = "", line: int = 1, column: int = 1
    ) -> None:
        self._file = file
        self.buffer, self.position, self.ended = buffer, 0, file is None
        self.line, self.column = line, column

    def more(self) -> None:
        """Reads as much again as there is, so that a long row is not looked at too often."""
        assert self._file is not None
        kept = self.buffer[self.position :]
        added = self._file.read(max(CHUNK, len(kept)))
        while added.endswith("\r") and (one := self._file.read(1)):
            added += one  # CR LF is one end
        self.ended = not added
        self.buffer, self.position = kept + added, 0

    def next(self) -> str:
        """The next character that is no space, which is now at `position`; "" at the end."""
        while True:
            rest = self.position
            while rest < len(self.buffer) and self.buffer[rest] in _SPACE:
                rest += 1
            self.skip(rest - self.position)
            if self.position < len(self.buffer):
                return self.buffer[self.position]
            if self.ended:
                return ""
            self.more()

    def skip(self, count: int) -> None:
        end = self.position + count
        if ends := line_ends(self.buffer, self.position, end):
            self.line += ends
            last = max(
                self.buffer.rfind("\n", self.position, end), self.buffer.rfind("\r", self.position, end)
            )
            self.column = end - last
        else:
            self.column += count
        self.position = end

    def copy_to(self, position: int) -> "_Text":
        """The same text at another position, to tell where that is."""
        other = _Text(None, self.buffer, self.line, self.column)
        other.position = self.position
        other.skip(position - self.position)
        return other


def _broken(text: _Text, what: str) -> Invalid:
    where = f"line {text.line}"
    message = f"{what} (at character {text.column:,} of the line)"
    return Invalid(
        f"Line {text.line} is no JSON list of objects: {message}. Correct it, or save the file again.",
        [{"where": where, "message": message}],
        kind="json",
    )
