"""A JSON list of objects, one a row, cut out of the text one after the other: memory holds one object and a megabyte.

Own work over the standard library's decoder, because no streaming parser tells the line of a row and leaves 1.50 as its
author wrote it.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.readers.json_rows import Entry, JsonRows
from app.datasets.readers.json_values import TOO_MANY_DIGITS, Refused, checked, decoder, syntax
from app.datasets.readers.source import CHUNK, MAX_CELL, Source, line_ends, open_text, too_long

_CUT = "the list does not end: its last ] is missing, so the file may have been cut off"
_SPACE = " \t\r\n\ufeff"


class JsonArray(JsonRows):
    """See JsonRows. A fault of the list itself (a comma, a bracket) ends the reading: what follows has no beginning."""

    format = "json"
    nothing = "an empty list"

    def __init__(self, path: Path, encoding: Encoding, progress: Callable[[int], None]) -> None:
        self._path, self._encoding = path, encoding
        self._source: Source | None = None
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
        if text.next() != "[":
            raise _broken(text, "does not begin with [")
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
        if char := text.next():
            raise _broken(
                text,
                f"there is something behind the end of the list: {char!r}. If lists were joined, join their rows",
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
