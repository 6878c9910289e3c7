"""Train, validation and test in files of their own: one table, with a column that tells them apart."""

import io
import zipfile
from typing import Any

import pytest

from .conftest import Bench, csv_of, failure


def packed(**members: str | bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return sink.getvalue()


def read(bench: Bench, **members: str | bytes) -> dict[str, Any]:
    return bench.read(packed(**members), "a.zip")


def test_rows_come_in_the_order_train_validation_test(bench: Bench) -> None:
    view = read(
        bench,
        test_csv="text,label\nd e,x\n",
        train_csv="text,label\na b,x\nb c,y\n",
        dev_csv="text,label\nc d,y\n",
    )
    assert view["columns"] == ["text", "label", "split"]
    assert bench.column(view, "text") == ["a b", "b c", "c d", "d e"]
    assert bench.column(view, "split") == ["train", "train", "validation", "test"]
    assert [item["line"] for item in bench.items(view)] == [2, 3, 2, 2]
    assert view["options"]["files"] == [
        {"name": "train.csv", "part": "train", "rows": 2},
        {"name": "dev.csv", "part": "validation", "rows": 1},
        {"name": "test.csv", "part": "test", "rows": 1},
    ]


def test_each_file_may_have_a_format_an_encoding_and_an_order_of_its_own(bench: Bench) -> None:
    train = "text;label\nschön;x\ngrün;y\nübel;x\n".encode("cp1252")
    view = read(bench, train_csv=train, test_jsonl='{"label": "y", "text": "größer"}\n')
    assert bench.column(view, "text") == ["schön", "grün", "übel", "größer"]
    assert bench.column(view, "label") == ["x", "y", "x", "y"]
    assert view["options"]["encoding_guessed"] is True


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("text,mood\na,b\n", "test.csv has no column 'label', and train.csv has one"),
        ("text,label,more\na,b,c\n", "train.csv has no column 'more', and test.csv has one"),
        ("text,label\n", "test.csv: The file has a header and no rows"),
        ("text,label\na,b,c\n", "test.csv: Line 2 has 3 cells"),
        ('text,label\n"a,b\n', "test.csv: Line 2 opens a quote"),
        ("text,label\na\0,b\n", "test.csv: Line 2 has a NUL byte"),
        (b"\x89PNG\r\n\x1a\n", "test.csv: The file is a PNG picture"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(bench: Bench, test: str | bytes, says: str) -> None:
    view = read(bench, train_csv=csv_of(9), test_csv=test)
    assert says in failure(view)[1]
    assert all(problem["where"].startswith(("test.csv", "train.csv", "")) for problem in view["problems"])


def test_a_column_called_split_is_refused(bench: Bench) -> None:
    content = "text,label,split\na,b,c\n"
    assert "has a column 'split'" in failure(read(bench, train_csv=content, test_csv=content))[1]
