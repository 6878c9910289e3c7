"""Awkward files of other kinds: packed ones, workbooks, Parquet, JSON, CoNLL."""

import bz2
import datetime
import decimal
import gzip
import io
import json
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from .awkward import ROWS, SHEET, TABLE, XML, Cases, changed, parquet_of, require, zip_of
from .conftest import Bench, warnings

BYTES = TABLE.encode()
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
MB = 2**20


def tar_of(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def link_to(target: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        info = zipfile.ZipInfo("a.csv")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, target)
    return sink.getvalue()


def patched(archive: bytes, local: dict[int, int], central: dict[int, bytes]) -> bytes:
    """A zip of one file with bits set in its first header, and bytes written into its entry in the list of files."""
    data = bytearray(archive)
    entry = data.find(b"PK\x01\x02")
    for place, bits in local.items():
        data[place] |= bits
    for place, value in central.items():
        data[entry + place : entry + place + len(value)] = value
    return bytes(data)


def book(fill: Callable[[Any], None]) -> bytes:
    from openpyxl import Workbook

    made, sink = Workbook(), io.BytesIO()
    fill(made)
    made.save(sink)
    return sink.getvalue()


def hidden(made: Any) -> None:
    made.active.append(["choices"])
    made.active.append(["pos"])
    made.active.sheet_state = "hidden"
    sheet = made.create_sheet("Data")
    made.active = 1
    for row in (["text", "label"], ["a b", "pos"], ["c d", "neg"], ["e f", "pos"]):
        sheet.append(row)


def all_kinds(made: Any) -> None:
    made.active.append(["text", "label", "day", "price", "yes"])
    for day in (1, 2, 3):
        made.active.append([f"text {day}", "#N/A", datetime.datetime(2024, 5, day), 1.5, True])
    made.active.merge_cells("E2:E3")


def formulas(made: Any) -> None:
    made.active.append(["text", "label"])
    for number in range(3):
        made.active.append([f'=CONCAT("a ",{number})', "pos"])


LAUGHS = "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("hgfedcb", "gfedcba", strict=True)
)


def with_entities(entities: str) -> bytes:
    """The workbook with a cell that is the entity a."""
    document = f"<!DOCTYPE l [{entities}]>".encode()
    row = b'<row r="99"><c r="A99" t="inlineStr"><is><t>&a;</t></is></c></row></sheetData>'
    return changed(
        SHEET,
        XML,
        lambda xml: b'<?xml version="1.0"?>' + document + xml.replace(b"</sheetData>", row),
    )


def two_columns_of_one_name() -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), sink)
    return sink.getvalue()


NOON = datetime.datetime(2024, 5, 31, 12)


def aside(made: Any, rows: int, left: str | None = None) -> None:
    """A table that begins in C5; `left`: what stands left of its last row."""
    sheet = made.active
    for place in range(rows + 1):
        cells = ("text", "label") if place == 0 else (f"text number {place}", "ab"[place % 2])
        for column, cell in enumerate(cells, 3):
            sheet.cell(5 + place, column, cell)
    if left:
        sheet.cell(6 + rows, 1, left)


CASES: Cases = {
    # -- packed
    "bzip2": ("a.csv.bz2", bz2.compress(BYTES[:300]) + bz2.compress(BYTES[300:]), 30),
    "bzip2 cut off": ("a.csv.bz2", bz2.compress(BYTES)[:-5], "bzip2 file is damaged"),
    "a bzip2 bomb": ("a.csv.bz2", lambda: bz2.compress(bytes(300 * MB)), "no text packs that well"),
    "xz": ("a.csv.xz", lzma.compress(BYTES[:300]) + bytes(8) + lzma.compress(BYTES[300:]), 30),
    "xz cut off": ("a.csv.xz", lzma.compress(BYTES)[:-20], "xz file is damaged"),
    "an xz bomb": ("a.csv.xz", lambda: lzma.compress(bytes(300 * MB), preset=0), "no text packs that well"),
    "xz that asks for memory": (
        "a.csv.xz",
        lzma.compress(BYTES, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**30, "mode": 1, "mf": 3}]),
        "needs more than 80 MB of memory",
    ),
    "xz in gzip": ("a.gz", gzip.compress(lzma.compress(BYTES)), "packed once more"),
    "LZMA alone": ("a.lzma", lzma.compress(BYTES, lzma.FORMAT_ALONE), "is packed with LZMA"),
    "gzip with a wrong sum": ("a.gz", gzip.compress(BYTES)[:-8] + bytes(8), "gzip file is damaged"),
    "gzip of five bytes": ("a.gz", gzip.compress(BYTES)[:5], "gzip file is damaged"),
    "gzip and zeros behind it": ("a.gz", gzip.compress(BYTES) + bytes(1000), 30),
    "a bomb in gzip in gzip": ("a.gz", lambda: gzip.compress(gzip.compress(bytes(300 * MB))), "once more"),
    "a tar in gzip": ("a.tar.gz", gzip.compress(tar_of("a.csv", BYTES)), "is a tar archive"),
    "zip of an absolute path": ("a.zip", zip_of({"/etc/cron.d/a.csv": TABLE}), 30),
    "zip of a path of Windows": ("a.zip", zip_of({"..\\..\\a.csv": TABLE}), 30),
    "zip of a name with control characters": ("a.zip", zip_of({"a\n\x1b[31m.csv": TABLE}), 30),
    "zip of a link": ("a.zip", link_to("/etc/passwd"), "is a link to another file"),
    "zip with a password": (
        "a.zip",
        patched(zip_of({"a.csv": TABLE}), {6: 1}, {8: b"\x01"}),
        "has a password",
    ),
    "zip that lies about its size": (
        "a.zip",
        patched(zip_of({"a.csv": TABLE}), {}, {24: struct.pack("<I", 10)}),
        "zip file is damaged",
    ),
    "zip of a table, what macOS adds and a README": (
        "a.zip",
        zip_of({"data/a.csv": TABLE, "data/._a.csv": bytes(20), "README.md": "# About", "LICENSE": "MIT"}),
        30,
    ),
    "zip of a README alone": ("a.zip", zip_of({"readme.txt": "one\ntwo\n"}), 2),
    "zip of folders": ("a.zip", zip_of({"a/": "", "b/": ""}), "no file inside"),
    "zip of an empty file": ("a.zip", zip_of({"a.csv": ""}), "a.csv inside the packed file is empty"),
    "a bomb in zips": ("a.zip", lambda: zip_of({"b.zip": zip_of({"c.csv": bytes(300 * MB)})}), "once more"),
    "zip with another method": ("a.zip", zip_of({"a.csv": TABLE}, zipfile.ZIP_LZMA), 30),
    "parts of two formats": ("a.zip", zip_of({"train.csv": TABLE, "test.jsonl": LINES}), 60),
    # -- workbooks
    "a hidden sheet": ("a.xlsx", book(hidden), 3),
    "a table in the middle of a sheet": ("a.xlsx", book(lambda made: aside(made, 60)), 60),
    "a cell left of such a table, far down": (
        "a.xlsx",
        book(lambda made: aside(made, 60, "total")),
        "Row 66 has a cell left of the table, which begins in column 3",
    ),
    "macros": ("a.xlsm", changed(SHEET, "docProps/app.xml", lambda xml: xml), 30),
    "dates, errors and merged cells": ("a.xlsx", book(all_kinds), 3),
    "a billion laughs": (
        "a.xlsx",
        with_entities(f"<!ENTITY h '{'ha' * 50}'>{LAUGHS}"),
        "workbook is damaged",
    ),
    "an entity of a file": (
        "a.xlsx",
        with_entities("<!ENTITY a SYSTEM 'file:///etc/passwd'>"),
        "workbook is damaged",
    ),
    "OpenDocument": (
        "a.ods",
        zip_of({"mimetype": "application/vnd.oasis", "content.xml": "<x/>"}),
        "OpenDocument",
    ),
    # -- Parquet
    "Parquet of many kinds": (
        "a.parquet",
        parquet_of(
            {
                "text": pa.array(["a b", "c d"], pa.string_view()),
                "price": [decimal.Decimal("1.50"), None],
                "when": pa.array([NOON, None], pa.timestamp("ns", tz="Europe/Berlin")),
                "kind": pa.array(["x", "y"]).dictionary_encode(),
                "nothing": pa.nulls(2),
                "half": pa.array([1.5, None], pa.float16()),
            }
        ),
        2,
    ),
    "Parquet of a map": (
        "a.parquet",
        parquet_of({"m": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string()))}),
        1,
    ),
    "Parquet of bytes": ("a.parquet", parquet_of({"m": [b"x"]}), "column m, which holds binary"),
    "Parquet of lists of dates that no calendar has": (
        "a.parquet",
        parquet_of({"text": ["a"], "days": pa.array([[2**62]], pa.list_(pa.timestamp("us")))}),
        "can't read the column days",
    ),
    "Parquet of dates that no calendar has": (
        "a.parquet",
        parquet_of({"text": ["a"], "day": pa.array([2**62], pa.timestamp("us"))}),
        1,
    ),
    "ORC": ("a.orc", b"ORC\x0a\x00\xff" + bytes(100), "is an ORC file"),
    "Parquet without rows": ("a.parquet", parquet_of({"text": pa.array([], pa.string())}), "has no rows"),
    "Parquet without columns": ("a.parquet", parquet_of({}), "has no columns"),
    "Parquet with a column twice": ("a.parquet", two_columns_of_one_name(), 1),
    "Parquet of four bytes": ("a.parquet", b"PAR1", "Parquet file is damaged"),
    "Parquet with a password": ("a.parquet", b"PARE" + bytes(100), "is an encrypted Parquet file"),
    # -- JSON
    "JSON of two encodings": ("a.jsonl", ("\ufeff" + LINES).encode("utf-16-be"), 30),
    "JSON numbers": ("a.jsonl", '{"text": "a", "n": NaN}\n{"text": "b", "n": 1e999}\n', 2),
    "JSON with a number too long": ("a.jsonl", '{"n": ' + "9" * 5000 + "}\n", "too many digits"),
    "JSON of all kinds": ("a.jsonl", '{"a": "b"}\n{"a": 1}\n{"a": null}\n{"a": [{}]}\n{"a": true}\n', 5),
    "JSON cut off in its last line": ("a.jsonl", LINES + '{"text": "cut of', "Line 31 is no JSON object"),
    "JSON with blank lines": ("a.jsonl", "\n\n" + LINES.replace("\n", "\n\n"), 30),
    "JSON with a tab in a text": ("a.jsonl", '{"text": "a\tb"}\n', "Line 1 is no JSON object"),
    "JSON with Python's quotes": ("a.jsonl", "{'text': 'a'}\n", "Line 1 is no JSON object"),
    "JSON rows under a key": ("a.json", '{"version": 1, "data": [{"text": "a"}]}', 1),
    "JSON rows apart from their names": (
        "a.json",
        '{"columns": ["text"], "index": [0], "data": [["a"]]}',
        "names apart from the rows",
    ),
    "JSON keys that become one": (
        "a.jsonl",
        '{"a b": 1, "a\\nb": 2}\n',
        "another key names the column 'a b'",
    ),
    "JSON keys of half characters": ("a.jsonl", '{"\\ud83d": 1, "\\ud83e": 2}\n', "differ only in halves"),
    "JSON with a long key": ("a.jsonl", json.dumps({"k" * 10_000: 1}), "has a key of 10,000 characters"),
    "JSON list cut off between two rows": ("a.json", json.dumps(ROWS)[:430], "may have been cut off"),
    # -- CoNLL
    "CoNLL with tabs and spaces, without an end": ("a.conll", "EU\tB-ORG\nrejects O\n \nPeter I-PER", 2),
    "CoNLL-U": ("a.conllu", "1\tThe\tDET\t_\n2\tend\tNOUN\t_\n\n", "The first column counts the words"),
    "CoNLL with a token alone": ("a.conll", "EU B-ORG\nrejects\n", "Line 2 has a token but no tag"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_read_or_refused_with_a_sentence(bench: Bench, case: str) -> None:
    require(bench, *CASES[case])


def test_formulas_without_results_are_told(bench: Bench) -> None:
    view = require(bench, "a.xlsx", book(formulas), 3)
    assert "3 cells have formulas without a result in the file" in " ".join(warnings(view))


def test_what_is_in_an_excel_cell_is_what_excel_shows(bench: Bench) -> None:
    view = require(bench, "a.xlsx", book(all_kinds), 3)
    assert bench.items(view)[0]["cells"] == {
        "text": "text 1",
        "label": "#N/A",
        "day": "2024-05-01",
        "price": "1.5",
        "yes": "true",
    }
