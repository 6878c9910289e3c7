"""Plain text: a row for each line that is not blank."""

import codecs

import pytest

from app.datasets import apart
from app.datasets.readers import source

from .conftest import Bench, failure, warnings


def test_a_row_for_each_line_that_is_not_blank(bench: Bench) -> None:
    view = bench.read("first, line\n\n  \t\nsecond; line\nlast", "domain.txt")
    assert (view["columns"], view["rows"], view["problems"]) == (["text"], 3, [])
    assert [(item["line"], item["cells"]["text"]) for item in bench.items(view)] == [
        (1, "first, line"),
        (4, "second; line"),
        (5, "last"),
    ]
    assert view["profile"]["kind"] == view["options"]["format"] == "text"
    assert view["profile"]["roles"] == {"text": "text"}
    assert (view["options"]["delimiter"], view["options"]["header"]) == (None, None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends(bench: Bench, end: str) -> None:
    view = bench.read(end.join(["one", "", "two ", ""]), "a.txt")
    assert [(item["line"], item["cells"]["text"]) for item in bench.items(view)] == [(1, "one"), (3, "two ")]


def test_only_line_ends_end_a_line(bench: Bench) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven"
    assert bench.column(bench.read(text + "\nnext\n", "a.txt"), "text") == [text, "next"]


def test_quotes_are_text(bench: Bench) -> None:
    view = bench.read('"An open quote, she said\n12,5\n', "a.txt")
    assert bench.column(view, "text") == ['"An open quote, she said', "12,5"]


@pytest.mark.parametrize(
    ("mark", "codec", "shown"),
    [
        (b"", "utf-8", "utf-8"),
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (b"", "cp1252", "windows-1252"),
    ],
)
def test_encodings_are_found_as_for_tables(bench: Bench, mark: bytes, codec: str, shown: str) -> None:
    text = "Das Essen war überraschend gut und gar nicht teuer\nDie Straße ist groß, und das ist schön\n"
    view = bench.read(mark + text.encode(codec), "a.txt")
    assert bench.column(view, "text") == text.splitlines()
    assert view["options"]["encoding"] == shown
    assert any("which is a guess" in warning for warning in warnings(view)) == (codec == "cp1252")


def test_marks_of_joined_files_are_no_text(bench: Bench) -> None:
    assert bench.column(bench.read("\ufeffone\n\ufefftwo\n", "a.txt"), "text") == ["one", "two"]


def test_a_broken_byte_is_named_by_line(bench: Bench) -> None:
    lines = ["schön und groß und süß"] * 30
    content = "\n".join(lines).encode() + b"\nabgeschnitten \xc3\n"
    kind, message = failure(bench.read(content, "a.txt"))
    assert kind == "encoding" and message.startswith("Line 31 has a byte that is not UTF-8")


def test_a_nul_byte_is_named_by_line(bench: Bench) -> None:
    kind, message = failure(bench.read(b"one\ntwo\nthr\0ee\n", "a.txt"))
    assert kind == "file" and message.startswith("Line 3 has a NUL byte")


@pytest.mark.parametrize("content", ["\n\n\r\n", "  \t \n", "\ufeff", "\ufeff\n"])
def test_nothing_but_blank_lines(bench: Bench, content: str) -> None:
    kind, message = failure(bench.read(content, "a.txt"))
    assert kind == "no_rows" and "only blank lines" in message


def test_a_line_that_is_no_text(bench: Bench) -> None:
    message = failure(bench.read("one\n" + "x" * (source.MAX_CELL + 1) + "\ntwo\n", "a.txt"))[1]
    assert (
        message
        == "Line 2 is longer than 10 MB: no text is that long. Cut it into several rows, or leave it out."
    )


def test_a_line_without_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MAX_LINE", 2**20)
    monkeypatch.setattr(apart, "_SMALL", 2**30)  # in this process
    message = failure(bench.read("x" * 3 * 2**20, "a.txt"))[1]
    assert message.startswith("Line 1 has more than 1 MB")


# -- texts that look like tables


@pytest.mark.parametrize(
    "table",
    ["text\tlabel\ngood film\tpos\nbad film\tneg\n", "text,label\ngood film,pos\nbad film,neg\n"],
)
def test_what_looks_like_a_table_is_text_and_said(bench: Bench, table: str) -> None:
    view = bench.read(table, "reviews.txt")
    assert (view["columns"], view["rows"]) == (["text"], 3)
    (warning,) = warnings(view)
    assert warning.startswith("format: The lines look like a table with 2 columns separated by a")
    view = bench.again(view["id"], format="csv")
    assert (view["columns"], view["rows"], view["problems"]) == (["text", "label"], 2, [])
    assert view["options"]["format"] == view["profile"]["kind"] == "csv"
    view = bench.again(view["id"], format="text")
    assert (view["columns"], view["problems"]) == (["text"], [])
    assert bench.again(view["id"], format="auto")["options"]["format"] == "text"


def test_a_given_delimiter_means_a_table(bench: Bench) -> None:
    view = bench.read("text,label\ngood film,pos\nbad film,neg\n", "reviews.txt", delimiter=",")
    assert view["columns"] == ["text", "label"]


def test_prose_with_commas_is_not_said_to_be_a_table(bench: Bench) -> None:
    assert bench.read("One, two.\nThree, four.\nFive, six.\n", "prose.TXT")["problems"] == []


def test_blocks_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", 1000)
    lines = [f"line number {i} of a text" for i in range(500)]
    view = bench.read("\n".join(lines), "a.text")
    assert bench.column(view, "text") == lines
