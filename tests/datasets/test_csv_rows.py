import csv
import io
import random
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets.dialect import Dialect
from app.datasets.encoding import Encoding
from app.datasets.readers import source
from app.datasets.readers.csv_rows import CsvRows, open_quote
from app.datasets.readers.source import NulFound

UTF8 = Encoding("utf-8-sig")


def rows_of(
    path: Path, width: int, dialect: Dialect | None = None
) -> tuple[list[tuple[int, list[str]]], CsvRows]:
    reader = CsvRows(path, UTF8, dialect or Dialect(","))
    try:
        reader.first()
        rows = [
            (line, list(row))
            for block in reader.blocks(width)
            for line, row in zip(block.lines, zip(*block.columns, strict=True), strict=True)
        ]
    finally:
        reader.close()
    return rows, reader


def one_by_one(text: str) -> list[tuple[int, list[str]]]:
    """The reference: row by row, the line counted before each."""
    rows, begin = [], 1
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for row in reader:
        rows.append((begin, row))
        begin = reader.line_num + 1
    return rows


def random_csv(chance: random.Random) -> str:
    lines = ["x,y\n"]
    for _ in range(200):
        cells = []
        for _ in range(chance.choice([2, 2, 2, 2, 1, 3])):
            cell = "".join(chance.choices('ab \n\r",', k=chance.randint(0, 4)))
            cells.append('"' + cell.replace('"', '""') + '"')
        lines.append(",".join(cells) + chance.choice(["\n", "\r\n", "\r", "\n\n"]))
    return "".join(lines)


@pytest.mark.parametrize("seed", range(20))
def test_batches_give_the_rows_and_lines_of_the_csv_module(tmp_path: Path, seed: int) -> None:
    text = random_csv(random.Random(seed))
    path = tmp_path / "file.csv"
    path.write_bytes(text.encode())
    rows, reader = rows_of(path, 2)
    expected = one_by_one(text)[1:]
    assert rows == [(line, row) for line, row in expected if len(row) == 2]
    ragged = [
        (line, len(row))
        for line, row in expected
        if len(row) not in (0, 2) and (len(row) > 1 or row[0].strip())
    ]
    assert (reader.ragged, reader.ragged_rows) == (len(ragged), ragged[:20])


def test_a_block_is_bounded_by_rows_cells_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,b\n" + "1,2\n" * 1000)
    monkeypatch.setattr(source, "BLOCK_CELLS", 400)
    reader = CsvRows(path, UTF8, Dialect(","))
    reader.first()
    sizes = [len(block.lines) for block in reader.blocks(2)]
    reader.close()
    assert sum(sizes) == 1000 and max(sizes) <= 256


def test_the_first_row_comes_along_when_it_is_data(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("\na,b\nc,d\n")
    reader = CsvRows(path, UTF8, Dialect(","))
    first = reader.first()
    assert first == (["a", "b"], 2)
    blocks = list(reader.blocks(2, first))
    reader.close()
    assert [block.lines for block in blocks] == [[2, 3]]
    assert [block.columns for block in blocks] == [[["a", "c"], ["b", "d"]]]


def test_a_line_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MAX_LINE", 1000)
    path = tmp_path / "file.csv"
    path.write_bytes(b"text,label\n" + b"x" * 3_000_000)
    with pytest.raises(Invalid, match=r"Line 2 has more than .* no table of text"):
        rows_of(path, 2)


def test_nul_bytes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"text,label\na\0b,c\n")
    with pytest.raises(NulFound):
        rows_of(path, 2)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,b\n", None),
        ('"a",b\n', None),
        ('"a""b","c\nd"\n', None),
        ('a "b" c,d\n', None),
        ('"a', 0),
        ('a,"b\n"c\n', 2),
        ('"a\n","b', 5),
        ('"a"b,"c"\n', 0),
        ('"a""', 0),
        ('a, "b" c', None),
    ],
)
def test_the_open_quote_is_found(text: str, place: int | None) -> None:
    assert open_quote(text, Dialect(",")) == place


def test_the_open_quote_behind_a_space() -> None:
    assert open_quote('a, "b" c', Dialect(",", skip_space=True)) == 3
