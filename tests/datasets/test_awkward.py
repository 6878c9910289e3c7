"""Awkward and hostile files: each is read with the right count of rows, or refused with a sentence that says where and what to do."""

import gzip
import json

import pytest

from .awkward import ROWS, SHEET, TABLE, XML, Cases, changed, parquet_of, require, workbook_of, zip_of
from .conftest import Bench

ZEROS = b"\0" * (300 * 2**20)

CASES: Cases = {
    # -- tables
    "quoted newlines": ("a.csv", 'text,label\n"one\ntwo\r\nthree",x\nfour,y\n', 2),
    "old Mac line ends": ("a.csv", TABLE.replace("\n", "\r"), 30),
    "mixed line ends": ("a.csv", "text,label\r\na b,x\rc d,y\ne f,x\n\r\n", 3),
    "no end of the last line": ("a.csv", TABLE.rstrip("\n"), 30),
    "a BOM": ("a.csv", "\ufeff" + TABLE, 30),
    "UTF-16 with a BOM": ("a.csv", TABLE.encode("utf-16"), 30),
    "UTF-16 without one": ("a.csv", TABLE.encode("utf-16-le"), 30),
    "UTF-32": ("a.csv", TABLE.encode("utf-32"), 30),
    "Windows-1252": ("a.csv", TABLE.replace("many", "schöne Größe “ä”").encode("cp1252"), 30),
    "one byte that is not UTF-8": (
        "a.csv",
        TABLE.replace("many", "schöne Größe").encode() + b"caf\xe9,pos\n",
        "Line 32 has a byte that is not UTF-8",
    ),
    "a NUL byte": ("a.csv", TABLE.encode() + b"a\0b,pos\n", "Line 32 has a NUL byte"),
    "tabs": ("a.csv", TABLE.replace(",", "\t"), 30),
    "semicolons, decimal commas": ("a.csv", "text;label\na, b and c;1,5\nd, e;2,5\n", 2),
    "bars": ("a.txt.csv", TABLE.replace(",", "|"), 30),
    "Excel's first line": ("a.csv", "sep=;\n" + TABLE.replace(",", ";"), 30),
    "white space in the header": ("a.csv", TABLE.replace("text,label", " text ,\tlabel "), 30),
    "no header": ("a.csv", "a good film,1\na bad film,0\na fine film,1\n", "Line 1 looks like data"),
    "a column twice": ("a.csv", "text,label,text\na,b,c\n", 1),
    "a column without a name": ("a.csv", "text,,label\na,b,c\n", 1),
    "one cell too many": ("a.csv", TABLE + "a, b,pos\n", "Line 32 has 3 cells where the first row has 2"),
    "a delimiter too many, everywhere but in the header": (
        "a.csv",
        "text,label\na b,x,\nc d,y,\n",
        "Each of them ends in a comma too many: remove it",
    ),
    "a quote that stays open": ("a.csv", TABLE + '"open,pos\nmore,neg\n', "Line 32 opens a quote"),
    "a quote in a cell": ("a.csv", TABLE + '"a "b" c",pos\n', "Line 32"),
    "a million columns": ("a.csv", ",".join(f"c{i}" for i in range(10**6)) + "\n1\n", "1,000,000 columns"),
    "only a header": ("a.csv", "text,label\n", "a header and no rows"),
    "only blank lines": ("a.csv", "\n \n\t\n", "only blank lines"),
    "a title above": ("a.csv", "Reviews 2024\n\n" + TABLE, 30),
    "a title above, padded": ("a.csv", "Reviews 2024,,\ntext,label,n\na b,x,1\nc d,y,2\n", 2),
    "a title above semicolons": ("a.csv", "Umfrage\nAntwort;Note\ngut so;1\nna ja;2\n", 2),
    "one column with commas": ("a.csv", "text\nhello, world\ngood, bye\n", 2),
    "a giant cell": ("a.csv", TABLE + "x" * (11 * 2**20) + ",pos\n", "Line 32 has a cell of more than 10 MB"),
    "a giant line": ("a.csv", b"text,label\n" + b"x" * (70 * 2**20), "Line 2 has more than 32 MB"),
    "a text of one word a line": ("a.txt", "one\ntwo\n\nthree\n", 3),
    # -- JSON
    "a JSON list": ("a.json", json.dumps(ROWS), 30),
    "a JSON list over lines": ("a.json", json.dumps(ROWS, indent=2), 30),
    "a JSON list as CSV": ("a.csv", json.dumps(ROWS), 30),
    "a JSON list cut off": ("a.json", json.dumps(ROWS, indent=1)[:-40], "Line "),
    "a JSON list with a comma too many": ("a.json", '[{"text": "a"},\n]', "remove the comma"),
    "JSON of columns": ("a.json", '{"text": ["a b", "c d"], "label": ["x", "y"]}', "a column under each key"),
    "JSON of columns, uneven": (
        "a.json",
        '{"text": ["a b", "c d"], "label": ["x"]}',
        "a column under each key",
    ),
    "JSON of one sentence": ("a.json", '{"tokens": ["a", "b"], "tags": ["O", "O"]}', 1),
    "JSON lines with commas between": (
        "a.jsonl",
        '{"text": "a"},\n{"text": "b"}\n',
        "remove the comma at character",
    ),
    "JSON lines with a comma at the end": (
        "a.jsonl",
        '{"text": "a",}\n',
        "remove the comma before the closing",
    ),
    "JSON lines as Python writes them": ("a.jsonl", "{'text': 'a'}\n", "write double quotes in place of"),
    "two JSON lists": ("a.json", '[{"text": "a"}]\n[{"text": "b"}]', "Line 2 is no JSON list of objects"),
    "a JSON list of texts": ("a.jsonl", '["a", "b"]', "it is a list"),
    "a deep JSON list": ("a.json", '[{"text": ' + "[" * 200_000, "nested too deeply"),
    "deep JSON lines": ("a.jsonl", '{"text": "a"}\n{"text": ' + "[" * 200_000 + "\n", "Line 2 is nested"),
    "an endless JSON row": (
        "a.json",
        '[{"text": "' + "x" * (12 * 2**20) + '"}]',
        "row that is longer than 10 MB",
    ),
    "a bad JSON line": ("a.jsonl", '{"text": "a"}\n{"text": b}\n', "Line 2 is no JSON object"),
    "a key twice": ("a.json", '[{"text": "a", "text": "b"}]', "the key 'text' more than once"),
    # -- packed
    "gzip": ("a.csv.gz", gzip.compress(TABLE.encode()), 30),
    "gzip with another name": ("a.csv", gzip.compress(json.dumps(ROWS).encode()), 30),
    "gzip cut off": ("a.csv.gz", gzip.compress(TABLE.encode())[:-20], "gzip file is damaged or was cut off"),
    "gzip of nothing": ("a.csv.gz", gzip.compress(b""), "is empty"),
    "gzip of gzip": ("a.gz", gzip.compress(gzip.compress(TABLE.encode())), "packed once more"),
    "a gzip bomb": ("a.csv.gz", lambda: gzip.compress(ZEROS, 1), "no text packs that well"),
    "zip": ("a.zip", zip_of({"data/a.csv": TABLE, "__MACOSX/._a.csv": "x"}), 30),
    "zip of two": ("a.zip", zip_of({"a.csv": TABLE, "b.csv": TABLE}), "2 files inside: a.csv, b.csv"),
    "zip of three parts": (
        "a.zip",
        zip_of({"train.csv": TABLE, "dev.csv": TABLE, "test.tsv": TABLE.replace(",", "\t")}),
        90,
    ),
    "zip of parts that differ": (
        "a.zip",
        zip_of({"train.csv": TABLE, "test.csv": "text,note\na,b\n"}),
        "test.csv has no column 'label'",
    ),
    "a part with a fault": (
        "a.zip",
        zip_of({"train.csv": TABLE, "test.csv": TABLE + "a,b,c\n"}),
        "test.csv: Line 32 has 3 cells",
    ),
    "zip of nothing": ("a.zip", zip_of({}), "no file inside"),
    "zip of a zip": ("a.zip", zip_of({"b.zip": zip_of({"a.csv": TABLE})}), "packed once more"),
    "a zip bomb": ("a.zip", lambda: zip_of({"a.csv": ZEROS}), "no text packs that well"),
    "zip cut off": ("a.zip", zip_of({"a.csv": TABLE})[:-30], "zip file is damaged"),
    "zip with many files": (
        "a.zip",
        lambda: zip_of({str(i): "" for i in range(10_001)}),
        "more than 10,000 files",
    ),
    "zip of an escape": ("a.zip", zip_of({"../../../tmp/escaped.csv": TABLE}), 30),
    # -- binary tables
    "Parquet": (
        "a.parquet",
        parquet_of({"text": ["a b"] * 9, "n": [1, None, 2] * 3, "l": [["x"], [], None] * 3}),
        9,
    ),
    "Parquet of a struct": (
        "a.parquet",
        parquet_of({"image": [{"bytes": b"x"}]}),
        "the column image, which holds struct",
    ),
    "Parquet cut off": ("a.parquet", parquet_of({"text": ["a"]})[:-9], "Parquet file is damaged"),
    "a Parquet bomb": (
        "a.parquet",
        lambda: parquet_of({"text": ["x" * 10**6] * 300}, compression="zstd"),
        "no text packs that well",
    ),
    "Excel": ("a.xlsx", SHEET, 30),
    "Excel in gzip": ("a.xlsx.gz", gzip.compress(SHEET), 30),
    "Excel with a title": (
        "a.xlsx",
        workbook_of(["Reviews"], [], ["text", "label"], ["a", "x"], ["b", "y"]),
        2,
    ),
    "Excel with a gap": (
        "a.xlsx",
        workbook_of(["text", "label"], ["a", "x"], [], ["b", None], [None, "y"]),
        3,
    ),
    "Excel, too wide a row": (
        "a.xlsx",
        workbook_of(["text", "label"], ["a", "x"], ["b", "y", None, "note"]),
        "Line 3 has 4 cells where the first row has 2",
    ),
    "Excel without rows": ("a.xlsx", workbook_of(), "sheets are empty"),
    "Excel that lies about its size": (
        "a.xlsx",
        changed(SHEET, XML, lambda xml: xml.replace(b'ref="A1:B31"', b'ref="A1:XFD1048576"')),
        30,
    ),
    "Excel with a row far down": (
        "a.xlsx",
        changed(SHEET, XML, lambda xml: xml.replace(b'<row r="31"', b'<row r="999999999999"')),
        "goes on behind row 1,048,576",
    ),
    "Excel with a broken sheet": (
        "a.xlsx",
        changed(SHEET, XML, lambda xml: xml[:-200]),
        "workbook is damaged",
    ),
    "an Excel bomb": (
        "a.xlsx",
        lambda: changed(SHEET, XML, lambda xml: xml + b" " * (200 * 2**20)),
        "no sheet of texts packs that well",
    ),
    # -- other things
    "a picture": ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG picture"),
    "a PDF": ("a.csv", b"%PDF-1.7\n%\xe2\xe3", "is a PDF"),
    "an old workbook": ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "before 2007"),
    "a Word document": ("a.docx", zip_of({"word/document.xml": "<x/>"}), "is a Word document"),
    "SQLite": ("a.db", b"SQLite format 3\x00" + bytes(100), "is an SQLite database"),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7z archive"),
    "a pickle": ("a.pkl", b"\x80\x04\x95\x10", "is a Python pickle"),
    "a web page": ("a.csv", "<!DOCTYPE html>\n<html>", "is a web page"),
    "noise": ("a.csv", bytes(range(256)) * 40, "Line 1"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_or_refused_with_a_sentence(bench: Bench, case: str) -> None:
    require(bench, *CASES[case])
