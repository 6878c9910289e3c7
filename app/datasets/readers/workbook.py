"""What is in an Excel workbook: its sheets, and each one's rows as they stand in its XML.

openpyxl takes apart cells, styles and the list of sheets. What it reads beside that (charts, properties, themes, names) is
not read here, because one fault in it would be a fault of the whole workbook.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from app.core.errors import Invalid
from app.datasets.readers.json_values import whole

_STRICT = b"http://purl.oclc.org/ooxml/"
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


@dataclass(frozen=True)
class Sheet:
    """`path`: its member of the zip."""

    title: str
    path: str
    hidden: bool


@dataclass
class Book:
    """`texts`: those that cells name by number. `unstyled`: which cells are dates could not be read."""

    archive: zipfile.ZipFile
    sheets: list[Sheet]
    texts: list[str]
    unstyled: bool
    _parser: dict[str, Any] = field(repr=False)

    def rows(self, sheet: Sheet, tell: Callable[[float], None]) -> Iterator[tuple[int, dict[int, Any]]]:
        """Number, and column → value, of each row that is in the file; `tell` is called with the share that has been read.

        Raises Invalid for rows and cells that are not in order, and whatever openpyxl does where the XML makes no sense.
        """
        from openpyxl.worksheet._reader import WorkSheetParser

        size = self.archive.getinfo(sheet.path).file_size
        with self.archive.open(sheet.path) as xml:
            parser = WorkSheetParser(xml, self.texts, data_only=True, **self._parser)
            last = 0
            for number, cells in parser.parse():
                parser.row_dimensions.clear()  # heights of rows, kept for all of them
                found = {cell["column"]: cell["value"] for cell in cells}
                if number <= last or len(found) < len(cells):
                    raise _out_of_order(sheet, number)
                last = number
                tell(xml.tell() / max(1, size))
                yield number, found


def open_book(file: IO[bytes]) -> Book:
    """Raises Invalid for a workbook of the strict kind, and whatever openpyxl does for a damaged one."""
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.styles.stylesheet import apply_stylesheet

    reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
    reader.read_manifest()
    texts = _texts(reader)
    reader.read_workbook()
    with reader.archive.open(reader.parser.workbook_part_name) as xml:
        if _STRICT in xml.read(2**16):
            raise Invalid(
                "The workbook is of the kind Strict Open XML, which Headstart can't read. In Excel, save it as Excel Workbook "
                "(.xlsx), or the sheet as CSV (UTF-8).",
                kind="file",
            )
    unstyled = False
    try:
        apply_stylesheet(reader.archive, reader.wb)
    except MemoryError:
        raise
    except Exception:  # of all the styles only the formats of dates matter
        unstyled = True
    sheets = [
        Sheet(sheet.name, rel.target, sheet.state != "visible")
        for sheet, rel in reader.parser.find_sheets()
        if rel.target in reader.valid_files and rel.Type.endswith("/worksheet")
    ]
    names = ("epoch", "date_formats", "timedelta_formats")
    book = reader.wb
    values = (book.epoch, book._date_formats, book._timedelta_formats)
    return Book(reader.archive, sheets, texts, unstyled, dict(zip(names, values, strict=True)))


def _texts(reader: Any) -> list[str]:
    """The texts that cells name by number, each as it is written. openpyxl would keep what it has parsed of all of them."""
    from openpyxl.cell.text import Text
    from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
    from openpyxl.xml.functions import iterparse

    part = reader.package.find(SHARED_STRINGS)
    if part is None:
        return []
    texts: list[str] = []
    si, t = f"{{{SHEET_MAIN_NS}}}si", f"{{{SHEET_MAIN_NS}}}t"
    with reader.archive.open(part.PartName[1:]) as xml:
        events = iterparse(xml, events=("start", "end"))
        _, root = next(events)
        for event, node in events:
            if event == "end" and node.tag == si:
                plain = len(node) == 1 and node[0].tag == t  # nearly all are, and openpyxl is slow with them
                texts.append((node[0].text or "") if plain else Text.from_tree(node).content)
                root.clear()
    return texts


def unescaped(text: str) -> str:
    """_x000D_ is how a workbook writes a carriage return, and _x005F_ the _ of a text that looks like that."""
    if "_x" not in text:
        return text
    return whole(_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)).replace("\0", "\ufffd")


def _out_of_order(sheet: Sheet, number: int) -> Invalid:
    message = "stands twice, or behind a later one, or has a cell twice"
    return Invalid(
        f"Row {number:,} of the sheet {sheet.title!r} {message}. Open the workbook in Excel and save it again, or save the sheet "
        "as CSV (UTF-8).",
        [{"where": f"row {number}", "message": message}],
        kind="file",
    )
