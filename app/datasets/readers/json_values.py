"""Rows in JSON: an object → cells, with the words for what is none."""

import json
from collections import Counter
from typing import Any

from app.datasets.header import MAX_NAME

_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", type(None): "null"}
TOO_MANY_DIGITS = "has a number with too many digits; put it in quotes"


class Refused(Exception):
    """A line that is no row, with the reason."""


class Number(float):
    """A number with a fraction or exponent, as it was written: 1.50 is not 1.5 to its author."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        made = super().__new__(cls, text)
        made.text = text
        return made


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        return bool(line.lstrip().startswith("{") and object_of(line) is not None)
    except Refused:
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise Refused(f"has the key {twice[:100]!r} more than once in one object")
    return found


decoder = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=Number,
    parse_constant=lambda name: (
        None if name == "NaN" else Number(name)
    ),  # pandas means a missing value by NaN
)


def object_of(line: str) -> dict[str, Any]:
    """The object that a line is. Raises Refused."""
    try:
        found = decoder.decode(line)
    except json.JSONDecodeError as error:
        raise Refused(f"is no JSON object: {syntax(error)} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise Refused("is nested too deeply") from error
    except ValueError as error:  # int() takes at most 4,300 digits
        raise Refused(TOO_MANY_DIGITS) from error
    return checked(found, line)


def checked(found: object, text: str) -> dict[str, Any]:
    """What was decoded from `text`, if it is an object. Raises Refused."""
    if not isinstance(found, dict):
        raise Refused(f"is no JSON object: it is {_KINDS.get(type(found), 'a number')}")
    if may_have_half(text):
        repaired = {whole(key): value for key, value in found.items()}
        if len(repaired) < len(found):
            raise Refused("has keys that differ only in halves of characters")
        return repaired
    return found


def syntax(error: json.JSONDecodeError) -> str:
    """What to do, for what people write most often; else what json says."""
    rest = error.doc[error.pos :]
    if error.msg == "Extra data" and rest.strip() == ",":
        return "remove the comma"
    if error.msg.startswith("Unterminated"):
        return "no quote closes the text that begins"
    if error.msg.startswith(("Expecting property name", "Illegal trailing comma")):
        if rest.lstrip(" ,").startswith("}"):
            return "remove the comma before the closing brace"
        if rest.startswith("'"):
            return "write double quotes in place of the single ones"
    return error.msg[:1].lower() + error.msg[1:]


def cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Number):
        return value.text
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError as error:
        raise Refused("is nested too deeply") from error
    except ValueError as error:
        raise Refused("has a list with a number that is out of range, as 1e999") from error


def may_have_half(line: str) -> bool:
    return "\\ud" in line or "\\uD" in line


def whole(text: str) -> str:
    """U+FFFD for each half of a surrogate pair, which no file can hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def no_name(key: str, name: str, taken: bool) -> str | None:
    """Why `key` can't name a column that is then called `name`; `taken`: another key has that name. None if it can."""
    if not any(map(str.isprintable, name)):
        return "has a key without a name, which can name no column; give it one"
    if taken:
        return f"has the key {key[:100]!r}, and another key names the column {name[:100]!r} too; rename one"
    if len(name) > MAX_NAME:
        return f"has a key of {len(name):,} characters; shorten it to {MAX_NAME:,} or fewer"
    return None
