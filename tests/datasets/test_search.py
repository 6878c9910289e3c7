"""Searching the rows of a version: what is found, where it lies, and that it is looked for once."""

from pathlib import Path
from typing import Any

import pytest

from app.datasets import search
from app.datasets.rows import ROW_ID, RowsWriter
from app.datasets.search import Query, Searches, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three row groups: eight rows, every third without a label, one with white space around it."""
    writer = RowsWriter(tmp_path, ["text", "label"])
    texts = [f"Text {number} {'ÄRGER' if number == 4 else ''}" for number in range(8)]
    labels = ["pos", " neg ", "", "pos", "neg", " ", "pos", "neg"]
    for begin in (0, 3, 6):
        here = slice(begin, begin + 3)
        writer.write([texts[here], labels[here]], list(range(8))[here])
    writer.finish()
    return tmp_path


@pytest.mark.parametrize(
    ("query", "places"),
    [
        (Query(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (Query("TEXT 3"), [3]),
        (Query("ärger"), [4]),
        (Query("neg"), [1, 4, 7]),
        (Query(column="label", value="neg"), [1, 4, 7]),
        (Query(column="label"), [2, 5]),
        (Query("text 7", "label", "neg"), [7]),
        (Query("text 7", "label", "pos"), []),
        (Query("(.*"), []),
    ],
)
def test_text_in_any_cell_and_the_value_of_one_column(folder: Path, query: Query, places: list[int]) -> None:
    found = find(folder, query)
    assert found.positions.tolist() == places
    rows = found.window(folder, 0, 10)
    assert [(place, row[ROW_ID]) for place, row in rows] == [(place, place) for place in places]
    assert all(query.fits({"text": row["text"], "label": row["label"]}) for _, row in rows)


def test_windows_are_the_same_whether_rows_are_kept_or_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Query(column="label", value="neg")
    kept = find(folder, query)
    monkeypatch.setattr(search, "_KEPT_ROWS", 1)
    read = find(folder, query)
    assert kept.rows is not None and read.rows is None
    for offset, limit in ((0, 2), (1, 1), (2, 5), (3, 5)):
        assert kept.window(folder, offset, limit) == read.window(folder, offset, limit)


def test_what_was_found_is_kept_for_the_content(folder: Path) -> None:
    searches = Searches()
    first = searches.find(folder, "a", Query("text"))
    assert searches.find(folder, "a", Query("text")) is first
    assert searches.find(folder, "b", Query("text")) is not first
    for number in range(search.KEPT):
        searches.find(folder, "a", Query(str(number)))
    assert searches.find(folder, "a", Query("text")) is not first


@pytest.mark.parametrize(
    ("cells", "fits"),
    [({"label": " a "}, True), ({"label": "b"}, False), ({}, False)],
)
def test_a_single_row_is_judged_alike(cells: dict[str, Any], fits: bool) -> None:
    assert Query(column="label", value="a").fits(cells) is fits
