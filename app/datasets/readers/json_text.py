"""JSON text that is read a megabyte at a time, value after value, and knows at which line it is."""

import io
import json
from collections.abc import Iterator

from app.core.errors import Invalid
from app.datasets.readers.json_rows import Entry
from app.datasets.readers.json_values import TOO_MANY_DIGITS, Refused, checked, decoder, syntax, whole
from app.datasets.readers.source import CHUNK, MAX_CELL, line_ends, too_long

_CUT = "the list does not end: its last ] is missing, so the file may have been cut off"
CUT_OBJECT = "the object does not end: its last } is missing, so the file may have been cut off"
SPACE = " \t\r\n\ufeff"


def items(text: "Text") -> Iterator[Entry]:
    """From [ to behind the ]."""
    text.skip(1)
    char, first = text.next(), True
    while char != "]" or not first:
        if not char:
            raise broken(text, _CUT)
        yield entry_of(text)
        first = False
        char = text.next()
        if char == "]":
            break
        if char != ",":
            raise broken(text, f"a comma or ] is needed before {char!r}" if char else _CUT)
        text.skip(1)
        char = text.next()
        if char == "]":
            raise broken(text, "a row is needed between the comma and the ]: remove the comma")
    text.skip(1)


def key_of(text: "Text") -> str:
    """The key that is next, and behind its colon."""
    if text.next() != '"':
        raise broken(text, "a key in double quotes is needed" if text.next() else CUT_OBJECT)
    _, written, _ = entry_of(text)
    if text.next() != ":":
        raise broken(text, "a colon is needed behind the key" if text.next() else CUT_OBJECT)
    text.skip(1)
    return whole(str(json.loads(written)))


def entry_of(text: "Text") -> Entry:
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
                raise broken(at, _CUT if cut else syntax(error)) from error
            fault = error
        except RecursionError:
            raise broken(text, "the row is nested too deeply") from None
        except Refused as refused:
            raise broken(text, f"the row {refused}") from None
        except ValueError:
            raise broken(text, f"the row {TOO_MANY_DIGITS}") from None
        if len(text.buffer) - text.position > MAX_CELL:
            # What goes wrong long before the end of what was read is a fault, and not a row that goes on.
            if len(text.buffer) - fault.pos > CHUNK and not fault.msg.startswith("Unterminated"):
                raise broken(text.copy_to(fault.pos), syntax(fault))
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


class Text:
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
            while rest < len(self.buffer) and self.buffer[rest] in SPACE:
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

    def copy_to(self, position: int) -> "Text":
        """The same text at another position, to tell where that is."""
        other = Text(None, self.buffer, self.line, self.column)
        other.position = self.position
        other.skip(position - self.position)
        return other


def broken(text: Text, what: str) -> Invalid:
    where = f"line {text.line}"
    message = f"{what} (at character {text.column:,} of the line)"
    return Invalid(
        f"Line {text.line} is no JSON list of objects: {message}. Correct it, or save the file again.",
        [{"where": where, "message": message}],
        kind="json",
    )
