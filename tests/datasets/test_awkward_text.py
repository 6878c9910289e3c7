"""Awkward texts: encodings, line ends, quotes, headers and names, and what is no table though it is text."""

import pytest

from .awkward import TABLE, Cases, require
from .conftest import Bench, warnings

BYTES = TABLE.encode()
RUSSIAN = "текст,метка\n" + "".join(f"хороший фильм номер {i},да\n" for i in range(30))
CHINESE = "文本,标签\n" + "".join(f"这部电影很好{i},好\n" for i in range(30))
UMLAUTS = "schöne Größe für alle,a\n" * 20
LATER = "a b,x\nc d,y\n"

CASES: Cases = {
    # -- encodings
    "UTF-16 without a BOM, Russian": ("a.csv", RUSSIAN.encode("utf-16-le"), 30),
    "UTF-16 BE without a BOM, Chinese": ("a.csv", CHINESE.encode("utf-16-be"), 30),
    "UTF-16 with a byte too few": ("a.csv", TABLE.encode("utf-16-le")[:-1], "encoding could not be guessed"),
    "UTF-16 with half a character": (
        "a.csv",
        TABLE.encode("utf-16") + b"\x00\xd8x\0\n\0",
        "is not in UTF-16: line 32 has",
    ),
    "UTF-32 without a BOM": ("a.csv", TABLE.encode("utf-32-le"), 30),
    "UTF-32 BE without a BOM": ("a.csv", TABLE.encode("utf-32-be"), 30),
    "two encodings": (
        "a.csv",
        b"text,label\n" + UMLAUTS.encode("cp1252") + UMLAUTS.encode(),
        "line 22 is UTF-8 and line 2 is not",
    ),
    "UTF-16 behind UTF-8": ("a.csv", BYTES + TABLE.encode("utf-16-le"), "Line 32 has a NUL byte"),
    "NUL bytes at the end": ("a.csv", BYTES + bytes(5000), "Line 32 has a NUL byte"),
    "EBCDIC": ("a.csv", TABLE.encode("cp500"), "encoding could not be guessed"),
    "two BOMs": ("a.csv", "\ufeff\ufeff" + TABLE, 30),
    "a BOM and quotes": ("a.csv", '\ufeff"text","label"\n"a, b","x"\n', 1),
    "a BOM and nothing": ("a.csv", b"\xef\xbb\xbf", "only blank lines"),
    "a BOM in the middle, before a quote": ("a.csv", 'text,label\na,x\n\ufeff"b, c",y\n', 2),
    "a BOM of UTF-16 and nothing": ("a.csv", b"\xff\xfe", "only blank lines"),
    # -- lines
    "the line ends of a bad conversion": ("a.csv", TABLE.replace("\n", "\r\r\n"), 30),
    "other line ends of Unicode": ("a.csv", "text,label\na\x85b\x0c\x0bc,x\nd\u2028e\u2029f,y\n", 2),
    "Ctrl-Z at the end": ("a.csv", TABLE + "\x1a", 30),
    "a line of 200 MB": ("a.csv", lambda: b"text,label\na,b\n" + b"word " * (40 * 2**20), "Line 3 has more"),
    "a first line of 200 MB": ("a.txt", lambda: b"word " * (40 * 2**20), "Line 1 has more than 32 MB"),
    "a million and one columns": (
        "a.csv",
        lambda: ",".join(f"c{i}" for i in range(10**6 + 1)) + "\n",
        "1,000,001 columns",
    ),
    "a million and one cells below": (
        "a.csv",
        lambda: "text,label\na,b\n" + "," * 10**6,
        "Line 3 has 1000001 cells",
    ),
    "a ragged row far down": (
        "a.csv",
        lambda: "text,label\n" + LATER * 250_000 + "e,f,g\n" + LATER,
        "Line 500002",
    ),
    "only commas": ("a.csv", ",,,\n" * 3, "only blank lines"),
    # -- quotes
    "one quote at the end": ("a.csv", TABLE + '"', "Line 32 opens a quote that is never closed"),
    "thousands of quotes": ("a.csv", 'text,label\n"' + '""' * 5000 + '",x\n', 1),
    "one of thousands too many": ("a.csv", "text,label\n" + '"' * 5001 + ",x\n", "Line 2 opens a quote"),
    "only quotes": ("a.csv", '"' * 5000, "Line 1 looks like data"),
    "quotes inside of cells without": ("a.csv", 'text,label\nsay "hi" to me,x\n5" pipe,y\n', 2),
    "quotes behind backslashes": ("a.csv", 'text,label\n"say \\"hi\\" to me",x\n', "Line 2 has other text"),
    "a quote that runs to the end": (
        "a.csv",
        lambda: 'text,label\n"' + "a\n" * 10**6,
        "Line 2 opens a quote",
    ),
    # -- the first line
    "two comments": ("a.csv", "# made by x\n# on Monday\ntext,label\n" + LATER, 2),
    "sep= of another kind": ("a.csv", "sep=^\ntext^label\na^b\n", "Line 1 says that '^' separates"),
    "delimiters behind each row": ("a.csv", "text,label\na b,x,\nc d,y,\n", "lines 2 and 3"),
    "delimiters behind the header too": ("a.csv", "text,label,\na b,x,\n", 1),
    "an index of pandas": ("a.csv", ",text,label\n0,a b,x\n", 1),
    "a name that nobody sees": ("a.csv", "\u200b,label\na b,x\n", 1),
    "a name of ten thousand letters": ("a.csv", "n" * 10_000 + "?,label\na b,x\n", "has a name of 10,001"),
    "a name of ours": ("a.csv", "__row_id,text\n1,a\n", 1),
    "a name that is a long number": ("a.csv", "9" * 10_000 + ",label\na b,x\n", "Line 1 looks like data"),
    # -- values
    "labels that mean nothing elsewhere": ("a.csv", "text,label\na b,NA\nc d,null\ne f,nan\ng h,None\n", 4),
    "a million labels": (
        "a.csv",
        lambda: "text,label\n" + "".join(f"t {i},l{i}\n" for i in range(10**6)),
        10**6,
    ),
    # -- text, but no table
    "an HTML table as .xls": ("a.xls", "<table><tr><td>a</td></tr></table>\n", "is an HTML table"),
    "XML": ("a.csv", '<?xml version="1.0"?>\n<rows/>\n', "is XML"),
    "a pointer of Git LFS": (
        "a.csv",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n",
        "git lfs pull",
    ),
    "RTF": ("a.csv", "{\\rtf1\\ansi text,label}\n", "(RTF)"),
    "a program": ("a.csv", b"MZ\x90\x00\x03" + bytes(200), "is a program"),
    "a video": ("a.csv", b"\x00\x00\x00 ftypisom" + bytes(200), "is a video"),
    # -- names of files
    "a device": ("CON", TABLE, 30),
    "another folder": ("../../etc/passwd", TABLE, 30),
    "control characters": ("a\x00\x1b[31m\nb.csv", TABLE, 30),
    "five hundred letters": ("x" * 500 + ".csv", TABLE, 30),
    "a name from right to left": ("\u202evsc.exe", TABLE, 30),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_or_refused_with_a_sentence(bench: Bench, case: str) -> None:
    view = require(bench, *CASES[case])
    assert len(view["name"]) <= 200 and view["name"].isprintable()


TOLD: dict[str, tuple[str, int, str]] = {
    "files joined": (TABLE + "\ufeff" + TABLE, 60, "line 32: Left out, because it repeats the header"),
    "a comment with commas": ("# made, 2024-05-31\ntext,label\n" + LATER, 2, "line 1: Left out"),
    "a guess": (
        RUSSIAN.encode("utf-16-be").decode("latin-1"),
        30,
        "it was read as UTF-16 BE, which is a guess",
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_was_left_out_or_guessed_is_told(bench: Bench, case: str) -> None:
    content, rows, told = TOLD[case]
    view = require(bench, "a.csv", content.encode("latin-1") if case == "a guess" else content, rows)
    assert told in " ".join(warnings(view))


def test_names_of_columns_are_one_line_each(bench: Bench) -> None:
    view = require(bench, "a.csv", '"te\nxt","la\x07bel\u00a0","<b>""5""</b>"\na b,x,1\n', 1)
    assert view["columns"] == ["te xt", "la bel", '<b>"5"</b>']
    view = require(bench, "a.jsonl", '{"te\\nxt": "a b", "la\\u0000bel": "x"}\n', 1)
    assert [item["cells"] for item in bench.items(view)] == [{"te xt": "a b", "la bel": "x"}]


def test_a_row_like_the_header_is_data_where_there_is_no_header(bench: Bench) -> None:
    view = bench.read("text,label\na b,x\ntext,label\n", header=False)
    assert (view["state"], view["rows"]) == ("ready", 3)
