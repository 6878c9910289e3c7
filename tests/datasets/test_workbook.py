"""Workbooks that openpyxl alone would call damaged, take wrongly, or not survive."""

import io
import zipfile

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference

from app.datasets import apart
from app.datasets.readers.workbook import unescaped

from .conftest import Bench, failure, warnings
from .test_xlsx import TABLE, workbook

SHEET, TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_TYPES = "[Content_Types].xml"
_TEXTS_TYPE = (
    '<Override PartName="/xl/sharedStrings.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)


def changed(**members: str) -> bytes:
    """A workbook with members of its zip changed: `sheet` (its rows), `texts` (its shared strings), `styles`."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(one=TABLE))) as old,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        found = {name: old.read(name).decode() for name in old.namelist()}
        if "sheet" in members:
            found[SHEET] = f"<worksheet {_MAIN}><sheetData>{members['sheet']}</sheetData></worksheet>"
        if "texts" in members:
            found[TEXTS] = members["texts"]
            found[_TYPES] = found[_TYPES].replace("</Types>", _TEXTS_TYPE)
        if "styles" in members:
            found["xl/styles.xml"] = members["styles"]
        if "book" in members:
            found["xl/workbook.xml"] = members["book"]
        for name, content in found.items():
            new.writestr(name, content)
    return sink.getvalue()


def cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_a_chart_sheet_is_no_sheet_with_rows(bench: Bench) -> None:
    book = Workbook()
    data = book.worksheets[0]
    for row in TABLE:
        data.append(row)
    chart = BarChart()
    chart.add_data(Reference(data, min_col=1, min_row=1, max_row=4))
    book.create_chartsheet("chart", 0).add_chart(chart)
    book.create_chartsheet("a chart without a drawing", 1)
    sink = io.BytesIO()
    book.save(sink)
    view = bench.read(sink.getvalue(), "a.xlsx")
    assert (view["options"]["sheet"], view["rows"]) == ("Sheet", 3)


def test_shared_texts_are_read_as_they_are_meant(bench: Bench) -> None:
    texts = f"<sst {_MAIN}><si><t>text</t></si><si><r><t>bold </t></r><r><t>and not</t></r></si><si><t>a_x000D_b</t></si></sst>"
    rows = "".join(f'<row r="{i + 1}"><c r="A{i + 1}" t="s"><v>{i}</v></c></row>' for i in range(3))
    view = bench.read(changed(sheet=rows, texts=texts), "a.xlsx")
    assert bench.column(view, "text") == ["bold and not", "a\rb"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("_x000A_", "\n"),
        ("_x005F_x000D_", "_x000D_"),
        ("_xD83D__xDE00_", "😀"),
        ("_x_", "_x_"),
        ("_x0000_", "\ufffd"),
    ],
)
def test_escapes_of_a_workbook(written: str, meant: str) -> None:
    assert unescaped(written) == meant


@pytest.mark.parametrize(
    "row",
    [
        f'<row r="2">{cell("A2", "again")}</row>',
        f'<row r="1">{cell("A1", "earlier")}</row>',
        f'<row r="9">{cell("A9", "one")}{cell("A9", "two")}</row>',
    ],
)
def test_rows_that_would_be_lost_are_told(bench: Bench, row: str) -> None:
    rows = f'<row r="1">{cell("A1", "text")}</row><row r="2">{cell("A2", "a")}</row>{row}'
    kind, message = failure(bench.read(changed(sheet=rows), "a.xlsx"))
    assert kind == "file" and "of the sheet 'one' stands twice, or behind a later one" in message


def test_styles_that_make_no_sense_cost_only_the_dates(bench: Bench) -> None:
    view = bench.read(changed(styles="<odd>"), "a.xlsx")
    assert view["rows"] == 3 and any("a date is the number of its day" in line for line in warnings(view))


def test_a_strict_workbook_is_told_as_one(bench: Bench) -> None:
    book = f'<workbook {_MAIN} xmlns:x="http://purl.oclc.org/ooxml/officeDocument/relationships"><sheets/></workbook>'
    assert "is of the kind Strict Open XML" in failure(bench.read(changed(book=book), "a.xlsx"))[1]


def test_a_giant_cell_is_told_by_row(bench: Bench) -> None:
    rows = f'<row r="1">{cell("A1", "text")}</row><row r="2">{cell("A2", "a few words " * 2**20)}</row>'
    kind, message = failure(bench.read(changed(sheet=rows), "a.xlsx"))
    assert kind == "file" and message.startswith("Row 2 has a cell that is longer than 10 MB")


def test_entities_do_not_grow_without_end(bench: Bench) -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">' for i in range(10))
    texts = f"<!DOCTYPE s [{laughs}]><sst {_MAIN}><si><t>&l9;</t></si></sst>"
    kind, message = failure(bench.read(changed(texts=texts), "a.xlsx"))
    assert kind == "file" and "is damaged" in message


def test_a_row_that_fits_no_memory_ends_the_reading_and_not_the_server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "MEMORY", 300 * 2**20)
    content = changed(sheet=f"<row>{'<c><v>1</v></c>' * 3_000_000}</row>")
    assert len(content) < 2**20
    view = bench.read(content, "a.xlsx")
    assert "Reading the file takes too much memory" in failure(view)[1]
    assert {path.name for path in bench.files.version(view["id"], 1).iterdir()} == {"original"}
