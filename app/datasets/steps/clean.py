"""Cells lose what does not belong to them: white space, invisible characters, HTML, a wrong encoding."""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from app.datasets.lists import strings_in, written
from app.datasets.steps.base import Column, Step

if TYPE_CHECKING:
    import pyarrow

How = Literal["spaces", "html", "encoding"]
_DID = {
    "spaces": "strip spaces and invisible characters from",
    "html": "take HTML out of",
    "encoding": "repair the encoding of",
}
# HTML's own names only: <user> and <unk> are words of somebody's data, "a < b" and "<3" are none. The inside is bounded: no
# text takes long.
_NAMES = (
    "a|abbr|article|b|big|blockquote|body|br|button|center|cite|code|dd|del|div|dl|dt|em|font|footer|form|h[1-6]|head|header|hr|"
    "html|i|iframe|img|input|ins|label|li|link|meta|nav|ol|option|p|pre|q|s|script|section|select|small|span|strike|strong|style|"
    "sub|sup|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video"
)
TAG = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]{{0,2000}})?/?>|<!--.{{0,2000}}?-->", re.DOTALL | re.IGNORECASE)
ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{2,6}|#x[0-9a-fA-F]{2,6});")
# UTF-8 that was read as Windows-1252: "Ã¤", "â€™", "Â ".
MOJIBAKE = re.compile(
    "[\u00c2-\u00c3][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|\u00e2[\u20ac\u201a\u0080][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_JOINERS = "\u200c\u200d"  # zero width, but Persian and emoji need them inside of words


class Clean(Step):
    """The whole column."""

    kind: Literal["clean"]
    column: Column
    how: How

    @property
    def title(self) -> str:
        return f"{_DID[self.how]} {self.column}"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def change(self, block: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow as pa

        clean = {"spaces": stripped, "html": without_html, "encoding": repaired}[self.how]
        cells = [_each(clean, cell) for cell in block[self.column].to_pylist()]
        return block.set_column(
            block.column_names.index(self.column), self.column, pa.array(cells, pa.string())
        )


def _each(clean: Callable[[str], str], cell: str) -> str:
    """Tokens one by one: there are as many as before, each with its tag, so none becomes empty."""
    strings = strings_in(cell)
    if strings is None:
        return clean(cell)
    cleaned = [clean(one) or one for one in strings]
    return cell if cleaned == strings else written(cleaned)


def stripped(cell: str) -> str:
    """Without white space around it and without invisible characters."""
    if not cell.isascii():
        cell = "".join(char for char in cell if unicodedata.category(char) != "Cf" or char in _JOINERS)
        cell = cell.strip(_JOINERS)
    return cell.strip()


def without_html(cell: str) -> str:
    """Tags out (a space where they stood between words), entities as their characters."""
    if TAG.search(cell):
        cell = " ".join(TAG.sub(" ", cell).split())
    return html.unescape(cell) if ENTITY.search(cell) else cell


def repaired(cell: str) -> str:
    """UTF-8 that was taken for Windows-1252, read as UTF-8; as it is where that is not what it was."""
    if not MOJIBAKE.search(cell):
        return cell
    try:
        return b"".join(map(_byte, cell)).decode()
    except ValueError:
        return MOJIBAKE.sub(lambda found: _one(found[0]), cell)


def _one(piece: str) -> str:
    try:
        return b"".join(map(_byte, piece)).decode()
    except ValueError:
        return piece


def _byte(char: str) -> bytes:
    # Windows-1252 leaves five bytes without a character; they come as C1 controls.
    return char.encode("latin-1") if "\u0080" <= char <= "\u009f" else char.encode("cp1252")
