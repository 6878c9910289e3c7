import hashlib
import json
import struct
from pathlib import Path

import pytest

from app.datasets import rows


def written(folder: Path, columns: list[str], cells: list[list[str]], cuts: list[int]) -> str:
    folder.mkdir(exist_ok=True)
    writer = rows.RowsWriter(folder, columns)
    total = len(cells[0])
    for begin, end in zip([0, *cuts], [*cuts, total], strict=True):
        writer.write([column[begin:end] for column in cells], range(begin + 2, end + 2))
    assert writer.rows == total
    return writer.finish()


CELLS = [[f"text ü {i}" for i in range(100)], ["a", ""] * 50]


def test_the_hash_does_not_depend_on_the_blocks(tmp_path: Path) -> None:
    one = written(tmp_path / "one", ["text", "label"], CELLS, [])
    assert written(tmp_path / "two", ["text", "label"], CELLS, [1, 50, 99]) == one
    assert written(tmp_path / "named", ["text", "other"], CELLS, []) != one


def test_the_hash_is_the_documented_one(tmp_path: Path) -> None:
    def sha(*parts: bytes) -> str:
        return hashlib.sha256(b"".join(parts)).hexdigest()

    cells = [["ab", "ü"], ["", "c"]]
    digests = [
        [sha(*(struct.pack("<q", len(cell.encode())) for cell in column)), sha(*(c.encode() for c in column))]
        for column in cells
    ]
    whole = [["x", "y"], sha(struct.pack("<2q", 0, 1)), digests]
    expected = hashlib.sha256(json.dumps(whole, ensure_ascii=False).encode()).hexdigest()
    assert written(tmp_path, ["x", "y"], cells, [1]) == expected


def test_cells_that_join_to_the_same_text_differ(tmp_path: Path) -> None:
    one = written(tmp_path / "one", ["x", "y"], [["ab"], ["c"]], [])
    two = written(tmp_path / "two", ["x", "y"], [["a"], ["bc"]], [])
    three = written(tmp_path / "three", ["x", "y"], [["a", "bc"], ["", ""]], [])
    four = written(tmp_path / "four", ["x", "y"], [["ab", "c"], ["", ""]], [])
    assert len({one, two, three, four}) == 4


def test_pages_cross_row_groups(tmp_path: Path) -> None:
    written(tmp_path, ["text", "label"], CELLS, [30, 60])
    page = rows.read_page(tmp_path, 28, 35)
    assert [row["row_id"] for row in page] == list(range(28, 63))
    assert [row["line"] for row in page] == list(range(30, 65))
    assert page[0]["cells"] == {"text": "text ü 28", "label": "a"}


def test_the_line_of_a_row_comes_from_the_newest_version(tmp_path: Path) -> None:
    written(tmp_path / "v1", ["text", "label"], CELLS, [])
    assert rows.line_of(tmp_path, 7) == 9
    assert rows.line_of(tmp_path, 100) is None


def test_an_aborted_writer_leaves_nothing(tmp_path: Path) -> None:
    writer = rows.RowsWriter(tmp_path, ["a"])
    writer.write([["x"]], [2])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ä/b", "a.b", 'quote"', "list", "a b"])
def test_any_column_name_can_be_read_back(tmp_path: Path, name: str) -> None:
    written(tmp_path, [name], [["x", "y"]], [])
    assert rows.read_columns(tmp_path, [name])[name].to_pylist() == ["x", "y"]
