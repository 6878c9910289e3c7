"""Windows of the rows with their edits: every row in its place, whatever is changed, added or looked for."""

from typing import Any

import pytest

from app.core.errors import NotFound
from app.datasets.search import Query
from tests.datasets.conftest import Bench
from tests.datasets.test_edits import Desk


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


def ids(page: dict[str, Any]) -> list[int]:
    return [one["row_id"] for one in page["items"]]


def test_a_row_stays_where_it_was_found_while_it_is_edited(desk: Desk) -> None:
    query = Query(column="label", value="neg")
    assert ids(desk.table.window(desk.id, 0, 9, query)) == [1, 3, 5]
    desk.label(3, "pos", "neg")
    page = desk.table.window(desk.id, 0, 9, query)
    assert ids(page) == [1, 3, 5] and page["items"][1]["cells"]["label"] == "pos"
    assert (page["total"], page["rows"]) == (3, 6)
    assert [one["position"] for one in page["items"]] == [1, 3, 5]


def test_an_added_row_counts_by_what_it_was_when_it_came(desk: Desk) -> None:
    query = Query(column="label")
    desk.do(add=[{"text": "one"}, {"text": "two", "label": "pos"}, {"text": "three"}])
    assert ids(desk.table.window(desk.id, 0, 9, query)) == [-1, -3]
    desk.label(-1, "neg", "")
    page = desk.table.window(desk.id, 0, 9, query)
    assert ids(page) == [-1, -3] and page["items"][0]["cells"] == {"text": "one", "label": "neg"}
    assert ids(desk.table.window(desk.id, 1, 1, query)) == [-3]
    assert ids(desk.table.window(desk.id, 0, 9, Query("TWO"))) == [-2]


def test_only_what_was_changed(desk: Desk) -> None:
    desk.do(drop=[4])
    desk.label(2, "neg", "pos")
    desk.do(add=[{"text": "new"}])
    page = desk.table.window(desk.id, 0, 9, changed=True)
    assert ids(page) == [2, 4, -1] and [one["dropped"] for one in page["items"]] == [False, True, False]
    assert ids(desk.table.window(desk.id, 0, 9, Query("number 2"), changed=True)) == [2]
    assert ids(desk.table.window(desk.id, 1, 1, changed=True)) == [4]


def test_rows_are_found_by_id_after_others_went(desk: Desk) -> None:
    from app.datasets.steps import Drop

    desk.versions.apply(desk.id, Drop(kind="drop", rows=[0, 2]))
    told = desk.label(3, "pos", "neg")
    assert [(one["row_id"], one["position"], one["line"]) for one in told["rows"]] == [(3, 1, 5)]


def test_long_cells_are_cut_where_that_is_asked(desk: Desk) -> None:
    desk.do(cells=[{"row": 1, "column": "text", "value": "é" * 30, "before": "text number 1 of many"}])
    rows = desk.table.window(desk.id, 0, 2, cut=21)["items"]
    assert [one["cut"] for one in rows] == [[], ["text"]]
    assert rows[1]["cells"]["text"] == "é" * 21 and rows[1]["saved"]["text"] == "text number 1 of many"
    assert desk.table.window(desk.id, 1, 1)["items"][0]["cells"]["text"] == "é" * 30


def test_what_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(NotFound, match="lable: is no column"):
        desk.table.window(desk.id, 0, 9, Query(column="lable"))
    with pytest.raises(NotFound):
        desk.table.window("abcdefghijkl", 0, 9)
