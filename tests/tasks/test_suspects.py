"""Likely wrong labels on disk."""

from pathlib import Path

import pytest

from app.tasks.suspects import Summary, Suspect, page, write


def test_they_come_back_in_their_order_page_by_page(tmp_path: Path) -> None:
    path = tmp_path / "suspects.parquet"
    some = [Suspect(row, "train", f"text {row}", "a", "b", 0.1, 0.9) for row in (5, 3, 9)]
    summary = Summary(100, 90, 4, 1.5, ["words"], ["10 rows are left out."])
    write(path, some, summary)
    found = page(path, 1, 1)
    assert [item["row_id"] for item in found.items] == [3] and found.total == 3
    assert found.items[0] == {**vars(some[1])} and found.summary == summary
    assert list(tmp_path.iterdir()) == [path]


def test_none_are_none_and_no_file_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "suspects.parquet", [], Summary(3, 3, 0, 0.1))
    assert page(tmp_path / "suspects.parquet").items == []
    with pytest.raises(FileNotFoundError):
        page(tmp_path / "other.parquet")
