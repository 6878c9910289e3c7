"""Excel workbooks: the sheet with the table, cells as one would write them into a CSV."""

import datetime
import io
from typing import Any

import pytest
from openpyxl import Workbook

from .conftest import Bench, failure, warnings


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


TABLE = [["text", "label"], ["a b", "x"], ["c d", "y"], ["e f", "x"]]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("as it is ", "as it is "),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (None, ""),
        ("two\nlines", "two\nlines"),
        (datetime.datetime(2024, 5, 31), "2024-05-31"),
        (datetime.datetime(2024, 5, 31, 10, 30), "2024-05-31 10:30:00"),
        (datetime.date(2024, 5, 31), "2024-05-31"),
        ("=1+1", ""),  # nothing has computed it yet
    ],
)
def test_values_become_cells(bench: Bench, value: Any, cell: str) -> None:
    view = bench.read(workbook(one=[["text", "value"], ["a", value], ["b", "x"]]), "a.xlsx")
    assert bench.column(view, "value") == [cell, "x"]
    assert (view["options"]["format"], view["options"]["sheet"]) == ("xlsx", "one")


def test_rows_have_the_numbers_that_excel_shows(bench: Bench) -> None:
    view = bench.read(workbook(one=[[], ["text", "label"], ["a", "x"], [], ["b"]]), "a.xlsx")
    assert [item["line"] for item in bench.items(view)] == [3, 5]
    assert bench.column(view, "label") == ["x", ""]


def test_the_first_sheet_with_rows_is_read_and_the_others_are_told(bench: Bench) -> None:
    content = workbook(cover=[], data=TABLE, notes=[["note"], ["n"]])
    view = bench.read(content, "a.xlsx")
    assert (view["options"]["sheet"], view["rows"]) == ("data", 3)
    assert any(
        line.startswith("sheet data: This sheet was read. Another has rows too: notes")
        for line in warnings(view)
    )


def test_another_sheet_can_be_chosen(bench: Bench) -> None:
    view = bench.read(workbook(one=TABLE, two=[*TABLE, ["g h", "y"]]), "a.xlsx", sheet="two")
    assert (view["options"]["sheet"], view["rows"]) == ("two", 4)
    view = bench.again(view["id"], sheet="auto")
    assert (view["options"]["sheet"], view["rows"]) == ("one", 3)


def test_a_sheet_that_is_not_there_is_named(bench: Bench) -> None:
    kind, message = failure(bench.read(workbook(one=TABLE), "a.xlsx", sheet="One"))
    assert kind == "sheet" and message == "The workbook has no sheet 'One'; there are: one."


def test_a_title_above_the_table_is_left_out_and_told(bench: Bench) -> None:
    view = bench.read(workbook(one=[["Survey of May"], ["internal"], *TABLE]), "a.xlsx")
    assert (view["columns"], view["rows"]) == (["text", "label"], 3)
    assert warnings(view)[0].startswith(
        "lines 1 and 2: Left out, because it looks like a title above the table: 'Survey"
    )


def test_wide_rows_are_told_and_can_be_left_out(bench: Bench) -> None:
    content = workbook(one=[*TABLE, ["i", "x", "note"]])
    kind, message = failure(bench.read(content, "a.xlsx"))
    assert kind == "ragged" and message.startswith(
        "Line 5 has 3 cells where the first row has 2. Remove what stands right"
    )
    assert bench.read(content, "a.xlsx", skip_ragged=True)["rows"] == 3


def test_a_sheet_without_header(bench: Bench) -> None:
    view = bench.read(workbook(one=TABLE[1:]), "a.xlsx", header=False)
    assert (view["columns"], view["rows"]) == (["column_1", "column_2"], 3)
