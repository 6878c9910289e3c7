"""A JSON list: read as JSON lines are, however the list is broken into lines."""

import json
import random
from pathlib import Path

import pytest

from app.datasets.encoding import Encoding
from app.datasets.readers import json_text
from app.datasets.readers.json_array import JsonArray

from .conftest import Bench, failure, warnings

ROWS: list[dict[str, object]] = [
    {"text": "a, b", "label": "x", "n": 1.5},
    {"label": 'y "q" \\', "text": "zwei\u2028drei [1] {2}", "more": [1, {"a": []}]},
    {"text": "", "n": None},
    {"text": "😀", "label": "x", "n": -3},
]


def lines_of(text: str) -> list[int]:
    """The lines where the objects begin, by the standard library's position in the whole text."""
    decoder, position, found = json.JSONDecoder(), text.index("[") + 1, []
    while (position := text.find("{", position)) >= 0:
        found.append(1 + text.count("\n", 0, position))
        position = decoder.raw_decode(text, position)[1]
    return found


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_rows_and_lines(bench: Bench, indent: int | None, end: str, name: str) -> None:
    text = "\n" + json.dumps(ROWS, indent=indent, ensure_ascii=False) + "\n"
    view = bench.read(text.replace("\n", end), name)
    assert (view["options"]["format"], view["columns"]) == ("json", ["text", "label", "n", "more"])
    assert bench.column(view, "text") == [row["text"] for row in ROWS]
    assert bench.column(view, "n") == ["1.5", "", "", "-3"]
    assert bench.column(view, "more") == ["", '[1,{"a":[]}]', "", ""]
    assert [item["line"] for item in bench.items(view)] == lines_of(text)


def test_numbers_stay_as_they_are_written(bench: Bench) -> None:
    view = bench.read('[{"a": 1.50, "b": 1e3}, {"a": NaN, "b": 123456789012345678901234567890}]', "a.json")
    assert bench.column(view, "a") == ["1.50", ""]
    assert bench.column(view, "b") == ["1e3", "123456789012345678901234567890"]


@pytest.mark.parametrize("seed", range(4))
def test_rows_may_lie_across_the_pieces_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    rows = [{"text": "ü\r\n\\ " * chance.randint(0, 9), "n": chance.randint(0, 10**6)} for _ in range(300)]
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps(rows, indent=chance.choice((None, 1)), ensure_ascii=False),
        encoding="utf-8",
        newline="\r\n",
    )
    monkeypatch.setattr(json_text, "CHUNK", chance.randint(1, 50))
    table = JsonArray(path, Encoding("utf-8-sig"), lambda _: None)
    texts = [cell for block in table.blocks() for cell in block.columns[0]]
    table.close()
    assert texts == [row["text"] for row in rows]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ('[{"a": "x"},\n {"a": y}]', 2, "expecting value (at character 8"),
        ('[{"a": "x"}\n {"a": "y"}]', 2, "a comma or ] is needed before '{'"),
        ('[{"a": "x"},\n {"a": "y"}', 2, "its last ] is missing"),
        ('[{"a": "x"},\n {"a": "y', 2, "no quote closes the text"),
        ('[{"a": "x"},\n\n', 3, "its last ] is missing"),
        ('[{"a": "x"},\n,{"a": "y"}]', 2, "expecting value"),
        ('[{"a": "x"}]\n\n{"a": "y"}', 3, "behind the end of the list"),
    ],
)
def test_a_fault_of_the_list_is_told_where_it_is(bench: Bench, content: str, line: int, says: str) -> None:
    kind, message = failure(bench.read(content, "a.json"))
    assert kind == "json" and message.startswith(f"Line {line} ") and says in message


def test_rows_that_are_no_objects_are_told_together(bench: Bench) -> None:
    view = bench.read('[{"a": 1},\n3,\n{"a": 2},\n"x"]', "a.json")
    assert [problem["where"] for problem in view["problems"]] == ["line 2", "line 4"]


def test_an_empty_list(bench: Bench) -> None:
    kind, message = failure(bench.read("[]", "a.json"))
    assert kind == "no_rows" and "an empty list" in message


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_rows_may_stand_under_a_key(bench: Bench, indent: int | None, name: str) -> None:
    whole = {"version": {"of": [1, {}]}, "tags": ["x"], "data": ROWS, "more \u00fc": 1.5, "none": []}
    text = json.dumps(whole, indent=indent, ensure_ascii=False)
    view = bench.read(text, name)
    assert (view["options"]["format"], view["columns"]) == ("json", ["text", "label", "n", "more"])
    assert bench.column(view, "text") == [row["text"] for row in ROWS]
    if indent:
        begun = text.index('"data"')
        lines = [one + text[:begun].count("\n") for one in lines_of(text[begun:])]
        assert [item["line"] for item in bench.items(view)] == lines
    told = "rows: The rows are the list under the key 'data'; what stands beside it is left out: 'version', 'tags', 'more ü', 'none'."
    assert told in warnings(view)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('{"features": [{"type": "Feature", "id": 1}, {"type": "Feature", "id": 2}]}', 2),
        ('{"type": "FeatureCollection", "features": [{"id": 1}, {"id": 2}, {"id": 3}]}', 3),
        ('{"reviews": [{"text": "a", "label": "x"}]}', 1),
        # Of a row the list is a cell.
        ('{"text": "a b", "entities": [{"start": 0, "end": 1, "label": "x"}]}', 1),
        ('{"entities": [{"start": 0, "end": 1, "label": "x"}], "text": "a b"}', 1),
        ('{"spans": [{"a": 1}, {"a": 2}]}\n{"spans": [{"a": 1}]}\n', 2),
        # The first line is longer than what the format is chosen by.
        (f'{{"messages": [{{"role": "user", "content": "{"a b " * 2**17}"}}]}}\n{{"messages": []}}\n', 2),
    ],
)
def test_a_list_under_a_key_is_told_from_a_cell(bench: Bench, content: str, rows: int) -> None:
    assert bench.read(content, "a.json")["rows"] == rows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"good": [{"a": 1}], "bad": [{"a": 2}]}', "rows under two keys, 'good' and 'bad'"),
        ('{"train": [{"a": 1}], "dev": [{"a": 1}], "val": [{"a": 2}]}', "two keys, 'train' and 'val'"),
        ('{"dev": [{"a": 1}], "test": [{"a": 2}]}', "none to train on"),
        ('{"train": [{"split": 1}], "test": [{"a": 2}]}', "The rows have the key 'split'"),
        ('{"data": [{"a": 1}, {"a": 2}]', "its last } is missing"),
        ('{"data": [{"a": 1}, {"a": 2', "its last ] is missing"),
        ('{"data": [{"a": 1}] "more": 2}', "a comma or } is needed before '\"'"),
        ('{"data": [{"a": 1}], "more" 2}', "a colon is needed behind the key"),
        ('{"data": [{"a": 1}], more: 2}', "a key in double quotes is needed"),
        ('{\n"data": [{"a": 1}]}\n{"data": [{"a": 1}]}', "If objects were joined, join their rows"),
        ('{"data": [{"a": 1}, 7]}', "it is a number"),
    ],
)
def test_a_broken_object_around_the_rows_is_refused_with_the_place(
    bench: Bench, content: str, says: str
) -> None:
    kind, message = failure(bench.read(content.replace("}, {", "},\n{"), "a.json"))
    assert kind == "json" and says in message


def test_an_object_without_rows_is_no_list(bench: Bench) -> None:
    kind, message = failure(bench.read('{"text": "a", "tags": ["x"]}', "a.json", format="json"))
    assert kind == "json" and "no list of objects under one of its keys" in message


def test_lists_that_are_called_train_and_test_are_parts(bench: Bench) -> None:
    content = {"version": 1, "Train": [{"a": 1}, {"a": 2, "b": 3}], "dev": [], "test": [{"a": 4}]}
    view = bench.read(json.dumps(content, indent=1), "a.json")
    assert view["columns"] == ["a", "b", "split"]
    assert bench.column(view, "split") == ["train", "train", "test"]
    assert bench.column(view, "b") == ["", "3", ""]
    assert view["options"]["files"] == [
        {"name": "Train", "part": "train", "rows": 2},
        {"name": "test", "part": "test", "rows": 1},
    ]
    told = "rows: The rows are the lists under the keys 'Train' and 'test', and the column split says which; what stands"
    assert warnings(view)[0].startswith(told)
