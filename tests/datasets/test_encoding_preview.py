"""The first special characters in several encodings, for a person to choose."""

from pathlib import Path

import pytest

from app.datasets.encoding_preview import readings

from .conftest import Bench

TEXT = "text,label\nplain,x\nschöne Grüße,y\nplain,x\n“gut” für 5 €,x\n"


def stored(folder: Path, content: bytes) -> Path:
    path = folder / "original"
    path.write_bytes(content)
    return path


def test_each_encoding_reads_the_same_lines_in_its_way(tmp_path: Path) -> None:
    numbers, found = readings(stored(tmp_path, TEXT.encode("cp1252")), "windows-1252")
    assert numbers == [3, 5]
    assert (found[0].encoding, found[0].title) == ("windows-1252", "Windows-1252")
    assert found[0].lines == ["schöne Grüße,y", "“gut” für 5 €,x"]
    assert 2 <= len(found) <= 4
    assert len({tuple(one.lines) for one in found}) == len(found)
    assert "utf-8" not in [one.encoding for one in found]


def test_long_lines_are_shown_around_their_first_special_character(tmp_path: Path) -> None:
    line = "word " * 500 + "größer " + "word " * 500
    _, found = readings(stored(tmp_path, line.encode("cp1252")))
    assert all(len(one.lines[0]) < 300 for one in found)
    assert any("größer" in one.lines[0] for one in found)


@pytest.mark.parametrize(
    "content", [b"text,label\na,b\n", TEXT.encode("utf-16"), b"PK\x03\x04\xff", b"\x1f\x8b\xff"]
)
def test_nothing_to_choose(tmp_path: Path, content: bytes) -> None:
    assert readings(stored(tmp_path, content)) == ([], [])


def test_the_choice_stays_and_is_no_guess_any_more(bench: Bench) -> None:
    view = bench.read(TEXT.encode("cp1252"), skip_ragged=True)
    assert view["options"]["encoding_guessed"] is True
    view = bench.again(view["id"], encoding="mac-roman")
    assert view["options"]["encoding_guessed"] is False
    assert view["options"]["asked"]["skip_ragged"] is True
    assert bench.store.encodings(view["id"])[1][0].encoding == "mac-roman"
