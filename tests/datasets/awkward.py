"""Awkward files: how they are made, and what is asked of each of them."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

from .conftest import Bench, csv_of

TABLE = csv_of(30)
ROWS = [{"text": f"text number {i}", "label": ("pos", "neg")[i % 2]} for i in range(30)]
# name of the case → (file name, content, rows or what the sentence says)
Cases = dict[str, tuple[str, Any, Any]]


def parquet_of(columns: dict[str, Any], **options: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def workbook_of(*rows: list[Any], **sheets: list[list[Any]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    for name, content in sheets.items():
        sheet = book.create_sheet(name)
        for row in content:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def zip_of(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def changed(workbook: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The zip with one member changed."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    return zip_of({**members, name: change(members[name])})


SHEET = workbook_of(["text", "label"], *([row["text"], row["label"]] for row in ROWS))
XML = "xl/worksheets/sheet1.xml"


def require(bench: Bench, name: str, content: Any, expected: int | str) -> dict[str, Any]:
    """The file is read with so many rows, or refused with a sentence that has these words; nothing else is left of it."""
    view = bench.read(content() if callable(content) else content, name)
    folder = bench.files.version(view["id"], 1)
    left = {path.name for path in folder.iterdir()}
    if isinstance(expected, int):
        assert (view["state"], view["rows"]) == ("ready", expected), view["error"]
        assert len(bench.items(view)) == min(expected, 1000)
        assert left == {"original", "rows.parquet", "profile.json"}
        return view
    assert view["state"] == "failed", view
    error = view["error"]
    assert error["kind"] != "bug" and expected in error["message"], error
    assert len(error["message"]) < 700
    assert left == {"original"}
    return view
