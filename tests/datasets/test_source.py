from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.readers import source
from app.datasets.readers.source import Faults, Lines, NulFound, in_blocks


def lines_of(path: Path, content: bytes, codec: str = "utf-8-sig") -> list[tuple[int, str]]:
    path.write_bytes(content)
    lines = Lines(path, Encoding(codec))
    try:
        return list(lines)
    finally:
        lines.close()


def test_lines_have_numbers_and_no_ends(tmp_path: Path) -> None:
    content = "\ufeffa\r\n\rb\n\n c\x85\u2028 \x1d".encode()
    assert lines_of(tmp_path / "a", content) == [
        (1, "a"),
        (2, ""),
        (3, "b"),
        (4, ""),
        (5, " c\x85\u2028 \x1d"),
    ]


def test_zeros_are_text_in_utf16_only(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "a", "a\nb".encode("utf-16"), "utf-16") == [(1, "a"), (2, "b")]
    with pytest.raises(NulFound):
        lines_of(tmp_path / "a", "a\nb".encode("utf-16-le"))


def test_a_line_longer_than_a_cell_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_CELL", 2**20)
    with pytest.raises(Invalid, match="Line 2 is longer than 1 MB"):
        lines_of(tmp_path / "a", b"a\n" + b"x" * (2**20 + 2))


@pytest.mark.parametrize(("limit", "value"), [("BLOCK_ROWS", 4), ("BLOCK_CELLS", 8), ("BLOCK_BYTES", 8)])
def test_blocks_are_bounded(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, limit, value)
    blocks = list(in_blocks(((("a", "b"), line) for line in range(1, 11)), 2))
    assert [block.lines for block in blocks] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [block.columns for block in blocks] == [[["a"] * n, ["b"] * n] for n in (4, 4, 2)]


def test_no_rows_are_no_block() -> None:
    assert list(in_blocks([], 3)) == []


def test_faults_are_told_together() -> None:
    faults = Faults("json", "Correct it.")
    faults.refuse()
    faults.add(3, "is wrong")
    with pytest.raises(Invalid) as one:
        faults.refuse()
    assert (one.value.message, one.value.kind) == ("Line 3 is wrong. Correct it.", "json")
    faults.add(9, "is worse")
    with pytest.raises(Invalid, match=r"^Line 3 is wrong\. Correct it\. One more line has a fault\.$"):
        faults.refuse()
    faults.add(10, "too")
    with pytest.raises(Invalid, match=r"2 more lines have faults\.$"):
        faults.refuse()
