"""Held-out rows on disk: written once, read page by page."""

from pathlib import Path

import pytest

from app.tasks.heldout import GROUP, Filter, Prediction, page, stream, write


def made(row: int, **changes: object) -> Prediction:
    values: dict[str, object] = {
        "row_id": row,
        "text": f"text {row}",
        "truth": "a",
        "predicted": "a",
        "wrong": False,
        "badness": 0.0,
        "classes": ("a",),
        "detail": {"probability": 0.5},
    }
    return Prediction(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "heldout.parquet"
    rows = [
        made(0),
        made(1, wrong=True, badness=0.6, predicted="b", classes=("a", "b"), text="Le CAFÉ est froid"),
        made(2, wrong=True, badness=0.9, predicted="c", classes=("a", "c"), text="100% of [it]"),
        made(3, badness=-0.2, truth="Über"),
        made(4, badness=5.0, classes=()),
    ]
    write(path, rows)
    return path


def ids(path: Path, chosen: Filter, **window: int) -> list[int]:
    return [item["row_id"] for item in page(path, chosen, **window).items]


def test_mistakes_come_first_and_the_worst_of_them_at_once(file: Path) -> None:
    assert ids(file, Filter()) == [2, 1, 4, 0, 3]
    found = page(file, Filter(), 0, 1)
    assert (found.total, found.rows, found.wrong) == (5, 5, 2)
    assert found.items[0]["detail"] == {"probability": 0.5} and found.items[0]["classes"] == ["a", "c"]


def test_a_page_begins_where_it_is_asked_to(file: Path) -> None:
    assert ids(file, Filter(), offset=2, limit=2) == [4, 0]
    assert ids(file, Filter(), offset=9) == []


def test_a_class_is_a_true_or_predicted_one_and_the_counts_stay_those_without_it(file: Path) -> None:
    assert ids(file, Filter(klass="b")) == [1]
    found = page(file, Filter(klass="b"))
    assert found.total == 1 and found.classes == [("a", 4), ("b", 1), ("c", 1)]
    assert page(file, Filter(klass="nothing")).total == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [("café", [1]), ("100% of [", [2]), ("ÜBER", [3]), ("text", [4, 0, 3]), ("C", [2, 1]), (".*", [])],
)
def test_a_search_finds_parts_of_text_and_labels_whatever_their_case(
    file: Path, query: str, expected: list[int]
) -> None:
    assert ids(file, Filter(query=query)) == expected


def test_filters_add_up(file: Path) -> None:
    assert ids(file, Filter(klass="a", query="e", only_wrong=True)) == [1]
    found = page(file, Filter(query="e", only_wrong=True))
    assert found.classes == [("a", 1), ("b", 1)]


def test_a_stream_gives_every_row_once_in_the_same_order(tmp_path: Path) -> None:
    path = tmp_path / "heldout.parquet"
    write(path, [made(row, badness=-row, wrong=row % 3 == 0) for row in range(2 * GROUP + 5)])
    streamed = [item["row_id"] for batch in stream(path, Filter(only_wrong=True)) for item in batch]
    assert streamed == list(range(0, 2 * GROUP + 5, 3))
    last = page(path, Filter(), 2 * GROUP + 4, 50)
    assert [item["row_id"] for item in last.items] == [2 * GROUP + 3]  # the last that is no mistake
    assert (
        page(path, Filter(), GROUP - 1, 2).items[1]["row_id"]
        == page(path, Filter(), GROUP, 1).items[0]["row_id"]
    )


def test_no_rows_at_all(tmp_path: Path) -> None:
    path = tmp_path / "heldout.parquet"
    write(path, [])
    assert page(path, Filter(klass="a", query="b", only_wrong=True)).items == []
    assert list(stream(path, Filter())) == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        page(tmp_path / "heldout.parquet", Filter())
