"""How a file is to be read: what the user asked for, None where Headstart decides."""

import codecs
import re
from dataclasses import asdict, dataclass
from encodings.aliases import aliases
from typing import Any, Literal

from app.core.errors import Invalid, Problem

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
AUTO: Literal["auto"] = "auto"
FORMATS = {
    "csv": "a table (CSV, TSV)",
    "tokens": "one token a row",
    "text": "plain text",
    "jsonl": "JSON lines",
    "json": "a JSON list",
    "conll": "CoNLL",
    "xlsx": "Excel (.xlsx)",
    "parquet": "Parquet",
}
# Python counts these among its text codecs, but nobody saves a spreadsheet in them.
_ODD_CODECS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem")


@dataclass(frozen=True)
class ReadOptions:
    """Options for `DatasetStore.reread`.

    A field that is None keeps what was asked before (at first: Headstart decides). `encoding`, `delimiter`, `header`,
    `format` and `sheet` (of a workbook, by its name) may be "auto": let Headstart decide again. `format` is one of FORMATS. `header` False names the columns column_1, column_2, …;
    True takes line 1 as the header even if it looks like data. `skip_ragged` leaves out rows with too many or too few cells.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header: bool | Literal["auto"] | None = None
    skip_ragged: bool | None = None
    format: str | None = None
    sheet: str | None = None

    def over(self, earlier: "ReadOptions") -> "ReadOptions":
        """These options, filled up with earlier ones."""
        values = {
            name: value if value is not None else getattr(earlier, name)
            for name, value in asdict(self).items()
        }
        for name in ("encoding", "delimiter", "header", "format", "sheet"):
            if values[name] == AUTO:
                values[name] = None
        return ReadOptions(**values)

    def checked(self) -> "ReadOptions":
        """Raises Invalid for an unknown encoding, delimiter or format."""
        problems: list[Problem] = []
        if self.encoding is not None and self.encoding != AUTO and not _is_text(self.encoding):
            message = f"{self.encoding!r} is no encoding that Headstart knows; try utf-8 or windows-1252"
            problems.append({"where": "encoding", "message": message})
        if self.delimiter is not None and self.delimiter != AUTO and self.delimiter not in DELIMITERS:
            message = f"{self.delimiter!r} can't separate columns; use a comma, a semicolon, a tab or a vertical bar"
            problems.append({"where": "delimiter", "message": message})
        if self.format is not None and self.format != AUTO and self.format not in FORMATS:
            message = f"{self.format!r} is no format that Headstart reads; use {', '.join(FORMATS)}"
            problems.append({"where": "format", "message": message})
        if problems:
            raise Invalid.from_problems("The file can't be read this way", problems)
        return self

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any] | None) -> "ReadOptions":
        return cls(**(value or {}))


def codec_name(encoding: str) -> str:
    """Python's canonical name, so that "UTF8" and "utf-8" are one."""
    return codecs.lookup(encoding).name


def known_encodings() -> list[str]:
    """The names of the encodings that Python can read, as "windows-1252" and "utf-8"; each has others as well."""
    names = {re.sub("^cp(125\\d)$", "windows-\\1", name).replace("_", "-") for name in aliases.values()}
    return sorted(name for name in names if _is_text(name))


def _is_text(encoding: str) -> bool:
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):
        return False
    # The attribute tells text codecs from transformations such as base64 or rot13.
    is_text = getattr(found, "_is_text_encoding", True)
    return is_text and found.name.replace("-", "_") not in _ODD_CODECS
