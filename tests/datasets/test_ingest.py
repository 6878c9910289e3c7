"""What a user's file becomes, from the bytes to the sentences."""

import codecs
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions

from .conftest import Bench, csv_of, failure, warnings

# -- line ends, quotes, blank lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends(bench: Bench, end: str) -> None:
    view = bench.read(end.join(["text,label", 'a,"x', 'y"', "", "b,z", ""]))
    items = bench.items(view)
    assert [(item["line"], item["cells"]) for item in items] == [
        (2, {"text": "a", "label": f"x{end}y"}),
        (5, {"text": "b", "label": "z"}),
    ]


def test_quoted_delimiters_quotes_and_newlines(bench: Bench) -> None:
    view = bench.read('text,label\n"a, ""b""\nc",x\n5" pipe,y\n')
    assert bench.column(view, "text") == ['a, "b"\nc', '5" pipe']


def test_a_last_line_without_an_end(bench: Bench) -> None:
    assert bench.column(bench.read("text,label\na,x\nb,y"), "label") == ["x", "y"]


def test_blank_lines_are_skipped_and_count_as_lines(bench: Bench) -> None:
    view = bench.read("\n\ntext,label\n\na,x\n   \n\nb,y\n\n")
    assert [item["line"] for item in bench.items(view)] == [5, 8]
    assert view["problems"] == []


def test_cells_keep_their_spaces_and_names_lose_them(bench: Bench) -> None:
    view = bench.read(" text ,label\n a ,x \n b,x \n")
    assert view["columns"] == ["text", "label"]
    assert bench.column(view, "text") == [" a ", " b"]
    assert view["profile"]["columns"]["label"]["counts"] == {"x": 2}


def test_lines_stay_true_over_many_multi_line_rows(bench: Bench) -> None:
    lines, expected = ["text,label"], []
    for i in range(500):
        expected.append(len(lines) + 1)
        if i % 3 == 0:
            lines += [f'"text {i}', "", f'goes on",{i % 2}']
        else:
            lines += [f"text {i},{i % 2}"]
        if i % 50 == 0:
            lines += [""]
    view = bench.read("\r\n".join(lines))
    assert [item["line"] for item in bench.items(view)] == expected
    assert [item["row_id"] for item in bench.items(view)] == list(range(500))


# -- delimiters


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(bench: Bench, delimiter: str) -> None:
    rows = [["text", "label"], ["Well, it's good; I think", "pos"], ["bad", "neg"]]
    view = bench.read("\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows))
    assert view["columns"] == ["text", "label"]
    assert view["options"]["delimiter"] == delimiter


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("asked", [None, ";"])
def test_excels_own_first_line_is_no_row(bench: Bench, end: str, asked: str | None) -> None:
    options = {} if asked is None else {"delimiter": asked}
    view = bench.read(end.join(["sep=;", "text;label", "well, well;1,5", "a, b;2,5"]), **options)
    assert (view["columns"], view["rows"]) == (["text", "label"], 2)
    assert [item["line"] for item in bench.items(view)] == [3, 4]


def test_the_delimiter_can_be_given(bench: Bench) -> None:
    view = bench.read("a|b,c\n1|2,x\n", delimiter="|")
    assert view["columns"] == ["a", "b,c"]


# -- encodings


GERMAN = (
    "text,label\nDas Essen war überraschend gut und gar nicht teuer,schön\nDie Straße ist groß,hässlich\n"
)


@pytest.mark.parametrize(
    ("mark", "codec", "shown"),
    [
        (b"", "utf-8", "utf-8"),
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    ],
)
def test_unicode_is_recognised(bench: Bench, mark: bytes, codec: str, shown: str) -> None:
    view = bench.read(mark + GERMAN.encode(codec))
    assert view["columns"] == ["text", "label"]
    assert bench.column(view, "label") == ["schön", "hässlich"]
    assert (view["options"]["encoding"], view["options"]["encoding_guessed"]) == (shown, False)
    assert view["problems"] == []


def test_a_guessed_encoding_is_said(bench: Bench) -> None:
    view = bench.read(GERMAN.encode("cp1252"))
    assert bench.column(view, "label") == ["schön", "hässlich"]
    assert (view["options"]["encoding"], view["options"]["encoding_guessed"]) == ("windows-1252", True)
    assert "read as Windows-1252, which is a guess" in warnings(view)[0]


def test_a_bad_byte_late_in_the_file_counts_too(bench: Bench) -> None:
    content = csv_of(30_000).encode() + "Das schmeckt süß und schön,pos\n".encode("cp1252")
    view = bench.read(content)
    assert view["options"]["encoding"] == "windows-1252"
    assert (
        bench.store.rows(view["id"], 30_000, 1)["items"][0]["cells"]["text"] == "Das schmeckt süß und schön"
    )
    assert view["rows"] == 30_001


def test_utf8_with_one_damaged_line_is_not_spoilt(bench: Bench) -> None:
    content = (GERMAN * 20).replace("text,label\n", "").encode()
    kind, message = failure(bench.read(b"text,label\n" + content + b"abgeschnitten \xc3,pos\n"))
    assert kind == "encoding"
    assert message.startswith(
        "Line 42 has a byte that is not UTF-8, though the file's other special characters are."
    )


def test_the_encoding_can_be_given(bench: Bench) -> None:
    view = bench.read("text,label\nпривет,да\n".encode("cp1251"), encoding="Windows-1251")
    assert bench.column(view, "text") == ["привет"]
    assert (view["options"]["encoding"], view["options"]["encoding_guessed"]) == ("windows-1251", False)
    assert view["problems"] == []


def test_the_given_encoding_must_fit(bench: Bench) -> None:
    kind, message = failure(bench.read("text,label\ngut,ja\nschön,ja\n".encode("cp1252"), encoding="utf8"))
    assert kind == "encoding"
    assert message.startswith("The file is not in UTF-8: line 3 has a byte that does not exist there.")


def test_bytes_that_are_no_text_in_any_encoding(bench: Bench) -> None:
    kind, message = failure(bench.read(bytes(range(1, 256)) * 20))
    assert kind == "encoding" and "its encoding could not be guessed" in message


def test_utf16_without_a_mark_is_guessed(bench: Bench) -> None:
    view = bench.read(GERMAN.encode("utf-16-le"))
    assert bench.column(view, "label") == ["schön", "hässlich"]
    assert view["options"]["encoding_guessed"] is True


# -- what is no table


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04\x14\x00", "The zip file is damaged"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\x1f\x8b\x08\x00", "The gzip file is damaged"),
        (b"PAR1\x15\x04", "The Parquet file is damaged"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\r\n <html>", "is a web page"),
    ],
)
def test_other_formats_are_named(bench: Bench, content: bytes, says: str) -> None:
    kind, message = failure(bench.read(content))
    assert kind == "file" and says in message


def test_a_nul_byte_is_named_by_line(bench: Bench) -> None:
    kind, message = failure(bench.read(csv_of(20).encode() + b"bad\0row,pos\n"))
    assert kind == "file" and message.startswith("Line 22 has a NUL byte")


def test_labels_that_look_alike_are_a_warning(bench: Bench) -> None:
    rows = "".join(f"text {i},{label}\n" for i, label in enumerate(["Pos", "pos", "po\u200bs", "neg"] * 5))
    (problem,) = bench.read(f"text,label\n{rows}")["problems"]
    assert problem["where"] == "column label"
    assert "invisible characters: 'Pos' and 'pos' and 'po\\u200bs'. " in problem["message"]
    assert "neg" not in problem["message"]


@pytest.mark.parametrize("content", ["\n\n\n", "  \n", "\ufeff", ",,\n,,\n"])
def test_nothing_but_blank_lines(bench: Bench, content: str) -> None:
    kind, message = failure(bench.read(content))
    assert kind == "no_rows" and "no rows" in message


def test_a_header_and_no_rows(bench: Bench) -> None:
    kind, message = failure(bench.read("text,label\n"))
    assert kind == "no_rows" and "a header and no rows below it (columns: text, label)" in message


def test_too_many_columns(bench: Bench) -> None:
    kind, message = failure(bench.read(",".join(f"c{i}" for i in range(2001)) + "\n"))
    assert kind == "header" and "2,001 columns" in message


# -- headers


@pytest.mark.parametrize(
    ("columns", "names", "told"),
    [
        (",text,,label\n0,a,b,c\n", ["column_1", "text", "column_3", "label"], ["column 1", "column 3"]),
        ("text,label, text\na,b,c\n", ["text", "label", "text_2"], ["column 3"]),
    ],
    ids=["without a name", "a name used twice"],
)
def test_each_column_gets_a_name_of_its_own_and_that_is_told(
    bench: Bench, columns: str, names: list[str], told: list[str]
) -> None:
    view = bench.read(columns)
    assert view["columns"] == names
    assert [problem["where"] for problem in view["problems"]] == [f"line 1, {column}" for column in told]


def test_a_name_that_is_ours_loses_its_underscores(bench: Bench) -> None:
    assert bench.read("__row_id,label\na,b\n")["columns"] == ["row_id", "label"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("good film,1\nbad film,0\n", "column 2 is called '1', a number"),
        ("good film,pos\nbad film,neg\nfine film,pos\n", "'pos' stands in the same column once more"),
        (f"{'a very long review ' * 6},x\nshort one,y\n", "a text of 114 characters"),
    ],
)
def test_a_file_without_a_header(bench: Bench, content: str, why: str) -> None:
    view = bench.read(content)
    kind, message = failure(view)
    assert kind == "no_header" and "Line 1 looks like data" in message and why in message
    view = bench.again(view["id"], header=False)
    assert view["columns"] == ["column_1", "column_2"]
    assert view["rows"] == len(content.splitlines())
    assert bench.items(view)[0]["line"] == 1
    assert bench.again(view["id"], header=True)["rows"] == len(content.splitlines()) - 1


def test_a_header_repeated_in_the_middle_is_left_out_with_a_warning(bench: Bench) -> None:
    view = bench.read(csv_of(300) + csv_of(300))
    assert view["state"] == "ready"
    assert view["rows"] == 600
    assert any("line 302: Left out, because it repeats the header" in one for one in warnings(view))


def test_one_column_is_a_warning(bench: Bench) -> None:
    view = bench.read("text\nHello, world\nGood morning\n")
    assert bench.column(view, "text") == ["Hello, world", "Good morning"]
    assert "the only column" in warnings(view)[0]
    assert (view["profile"]["text"], view["profile"]["label"]) == ("text", None)


# -- rows that don't fit


def test_ragged_rows_are_listed_by_line(bench: Bench) -> None:
    view = bench.read('text,label\na,x\nb\n"c\n",x\nd,x,y\n')
    kind, message = failure(view)
    assert kind == "ragged"
    assert message.startswith("2 rows have more or fewer cells than the first row's 2: lines 3 and 6.")
    assert [(problem["where"], problem["message"]) for problem in view["problems"]] == [
        ("line 3", "has 1 cell and needs 2"),
        ("line 6", "has 3 cells and needs 2"),
    ]


def test_one_ragged_row(bench: Bench) -> None:
    message = failure(bench.read("text,label\na,x\nb, but c,x\n"))[1]
    assert message.startswith("Line 3 has 3 cells where the first row has 2. Put quotes around cells")


def test_many_ragged_rows_are_counted(bench: Bench) -> None:
    view = bench.read(csv_of(50) + "a,b,c\n" * 30)
    assert "30 rows" in view["error"]["message"] and "(the first 20 of 30)" in view["error"]["message"]
    assert len(view["problems"]) == 20


def test_ragged_rows_can_be_left_out(bench: Bench) -> None:
    view = bench.read("text,label\na,x\nb\nc,x\n", skip_ragged=True)
    assert [(item["row_id"], item["line"]) for item in bench.items(view)] == [(0, 2), (1, 4)]
    assert warnings(view) == [
        "rows: 1 row was left out for having more or fewer cells than the first row: line 3."
    ]
    assert view["options"]["skip_ragged"] is True


def test_nothing_left_without_ragged_rows(bench: Bench) -> None:
    kind, message = failure(bench.read("text,label\na\nb\n", skip_ragged=True))
    assert kind == "no_rows" and "nothing is left" in message


def test_empty_cells_stay_and_are_told(bench: Bench) -> None:
    view = bench.read("text,label\na,x\n,x\nc, \nd,\n")
    assert view["rows"] == 4
    assert view["profile"]["columns"]["label"]["empty"] == 2
    assert warnings(view) == [
        "column text: 1 cell is empty (line 3). Rows whose text or label is empty are left out of training.",
        "column label: 2 cells are empty (lines 4 and 5). Rows whose text or label is empty are left out of training.",
    ]


# -- quotes that don't close


def test_a_quote_that_never_closes(bench: Bench) -> None:
    lines = csv_of(10_000).splitlines()
    lines[2] = '"' + lines[2]
    view = bench.read("\n".join(lines))
    kind, message = failure(view)
    assert kind == "csv" and message == "Line 3 opens a quote that is never closed. Close it, or remove it."
    assert view["problems"][0]["where"] == "line 3"


def test_a_quote_that_closes_in_another_row(bench: Bench) -> None:
    lines = csv_of(300).splitlines()
    lines[2] = '"' + lines[2]
    lines[150] = '"another, text",pos'
    message = failure(bench.read("\n".join(lines)))[1]
    assert message.startswith(
        "Line 3 opens a quote that is not closed properly: the cell runs on to line 151."
    )


def test_the_line_is_that_of_the_quote_not_of_the_row(bench: Bench) -> None:
    message = failure(bench.read('text,label\n"a\nb","c\nd,x\n'))[1]
    assert message.startswith("Line 3 opens a quote that is never closed")


def test_a_quote_inside_a_quoted_cell(bench: Bench) -> None:
    message = failure(bench.read('text,label\n"a "good" film",x\n'))[1]
    assert message.startswith("Line 2 has other text directly behind the quote that ends a cell.")


def test_a_giant_cell(bench: Bench) -> None:
    giant = "x" * (10 * 2**20 + 1)
    kind, message = failure(bench.read(f"text,label\na,b\nc,d\n{giant},e\n"))
    assert kind == "csv" and message.startswith("Line 4 has a cell of more than 10 MB.")


def test_a_quote_that_swallows_the_file(bench: Bench) -> None:
    kind, message = failure(bench.read('text,label\na,b\n"c,d\n' + "some more text,x\n" * 700_000))
    assert kind == "csv" and message.startswith("Line 3 opens a quote that is not closed properly")


def test_an_empty_file_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "original").touch()
    with pytest.raises(Invalid, match="The file is empty"):
        ingest(tmp_path / "original", tmp_path, "a.csv", ReadOptions())
