"""JSON lines: keys become columns, values become cells."""

import codecs
import json
import random
from typing import Any

import pytest

from app.datasets import apart
from app.datasets.readers import json_rows, source

from .conftest import Bench, failure, warnings


def lines_of(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_columns_are_the_keys_in_order_of_appearance(bench: Bench) -> None:
    view = bench.read(lines_of({"text": "a"}, {"label": "x", "text": "b"}, {"id": 7, "text": "c"}), "a.jsonl")
    assert view["columns"] == ["text", "label", "id"]
    assert bench.column(view, "text") == ["a", "b", "c"]
    assert bench.column(view, "label") == ["", "x", ""]
    assert view["profile"]["kind"] == view["options"]["format"] == "jsonl"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('" as it is "', " as it is "),
        ('"line\\nend"', "line\nend"),
        ("7", "7"),
        ("-0.50", "-0.50"),
        ("1e3", "1e3"),
        ("1e999", "1e999"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ("NaN", ""),
        ("Infinity", "Infinity"),
        ("[]", "[]"),
        ('["a", "ü", 1, null, true]', '["a","ü",1,null,true]'),
        ('{"b": {"a": [1.5]}}', '{"b":{"a":[1.5]}}'),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\u0000"', "\0"),
    ],
)
def test_values_become_cells(bench: Bench, value: str, cell: str) -> None:
    view = bench.read(f'{{"a": {value}, "b": "x"}}\n', "a.jsonl")
    assert bench.column(view, "a") == [cell]
    assert view["problems"] == [] or cell == ""


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSON", "a.csv", "a", "a.txt"])
def test_files_are_known_by_name_or_by_the_first_line(bench: Bench, name: str) -> None:
    view = bench.read('\n{"text": "a, b", "label": "x"}\n', name)
    assert (view["columns"], view["options"]["format"]) == (["text", "label"], "jsonl")
    assert bench.items(view)[0]["line"] == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_and_blank_lines(bench: Bench, end: str) -> None:
    view = bench.read(end.join(['{"a": "x"}', "", '  {"a": "y"} ', ""]), "a.jsonl")
    assert [(item["line"], item["cells"]["a"]) for item in bench.items(view)] == [(1, "x"), (3, "y")]


def test_only_line_ends_end_a_line(bench: Bench) -> None:
    text = "one\u2028two\u2029three\x85four"
    view = bench.read(json.dumps({"a": text}, ensure_ascii=False) + "\n", "a.jsonl")
    assert bench.column(view, "a") == [text]


@pytest.mark.parametrize(
    ("mark", "codec"),
    [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "utf-16-le")],
)
def test_encodings_are_found(bench: Bench, mark: bytes, codec: str) -> None:
    line = json.dumps({"text": "schön", "label": "groß"}, ensure_ascii=False) + "\n"
    view = bench.read(mark + line.encode(codec), "a.jsonl")
    assert bench.column(view, "text") == ["schön"]


def test_an_old_encoding_is_guessed(bench: Bench) -> None:
    line = json.dumps({"text": "Das Essen war überraschend gut, schön und groß"}, ensure_ascii=False) + "\n"
    view = bench.read(line.encode("cp1252"), "a.jsonl")
    assert bench.column(view, "text") == ["Das Essen war überraschend gut, schön und groß"]
    assert "which is a guess" in warnings(view)[0]


def test_any_table_comes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK_CELLS", 100)
    chance = random.Random(0)
    rows = [
        {
            key: "".join(chance.choices('ab"\\\n\t,{}[]:ü\u2028😀', k=chance.randint(0, 6)))
            for key in chance.sample(["text", "label", "a b", "ü", '"'], k=chance.randint(1, 5))
        }
        for _ in range(300)
    ]
    view = bench.read(
        "".join(json.dumps(row, ensure_ascii=bool(i % 2)) + "\n" for i, row in enumerate(rows)), "a.jsonl"
    )
    got = [item["cells"] for item in bench.items(view)]
    assert got == [{column: row.get(column, "") for column in view["columns"]} for row in rows]


# -- what is no row


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "a"', "is no JSON object: expecting ',' delimiter at character 13"),
        (
            "{'text': 'a'}",
            "is no JSON object: write double quotes in place of the single ones at character 2",
        ),
        ('{"text": "a"},', "is no JSON object: remove the comma at character 14"),
        ('{"text": "a"} {"text": "b"}', "is no JSON object: extra data at character 15"),
        ('{"text": "a\tb"}', "is no JSON object: invalid control character"),
        ('["a", "b"]', "is no JSON object: it is a list"),
        ('"a"', "is no JSON object: it is a text"),
        ("7", "is no JSON object: it is a number"),
        ("1.5", "is no JSON object: it is a number"),
        ("true", "is no JSON object: it is true or false"),
        ("null", "is no JSON object: it is null"),
        ("plain words", "is no JSON object: expecting value at character 1"),
        ('{"text": "a", "text": "b"}', "has the key 'text' more than once in one object"),
        ('{"a": {"b": 1, "b": 2}}', "has the key 'b' more than once in one object"),
        ('{"a": ' + "9" * 5000 + "}", "has a number with too many digits; put it in quotes"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is nested too deeply"),
        ('{"a": ' + '{"a": ' * 100_000 + "1" + "}" * 100_001, "is nested too deeply"),
        ('{"a": [1e999]}', "has a list with a number that is out of range, as 1e999"),
        ('{"a": [1, Infinity]}', "has a list with a number that is out of range, as 1e999"),
        ('{"__": 1}', "has a key without a name"),
        ('{" ": 1}', "has a key without a name"),
    ],
)
def test_a_line_that_is_no_row_is_named(bench: Bench, line: str, says: str) -> None:
    view = bench.read(f'{{"text": "fine"}}\n\n{line}\n{{"text": "fine"}}\n', "a.jsonl")
    kind, message = failure(view)
    assert kind == "json" and message.startswith(f"Line 3 {says}")
    assert view["problems"][0]["where"] == "line 3"
    assert len(message) < 300


def test_all_bad_lines_are_told(bench: Bench) -> None:
    view = bench.read('{"a": 1}\nx\n{"a": 2}\n[1]\n', "a.jsonl")
    assert [problem["where"] for problem in view["problems"]] == ["line 2", "line 4"]
    assert view["error"]["message"].endswith("One more line has a fault.")


def test_reading_stops_after_twenty_bad_lines(bench: Bench) -> None:
    view = bench.read('{"a": 1}\n' + "x\n" * 100, "a.jsonl")
    assert len(view["problems"]) == 20
    assert view["error"]["message"].endswith("19 more lines below it have faults, and reading stopped there.")


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.jsonl"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{\n  "text": "a"\n}\n', "one JSON object over several lines"),
        ('{"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}', "with a column under each key"),
        ('{"text": ["a b", "c"], "label": ["x", "y"]}', "with a column under each key"),
    ],
)
def test_a_json_document_is_no_json_lines(bench: Bench, content: str, says: str, name: str) -> None:
    kind, message = failure(bench.read(content, name))
    assert kind == "json" and says in message and "lines=True" in message


@pytest.mark.parametrize("content", ["\n\n", " \n\t\n", "\ufeff"])
def test_nothing_but_blank_lines(bench: Bench, content: str) -> None:
    kind, message = failure(bench.read(content, "a.jsonl"))
    assert kind == "no_rows" and "only blank lines" in message


def test_objects_without_keys(bench: Bench) -> None:
    assert "objects without keys" in failure(bench.read("{}\n{}\n", "a.jsonl"))[1]


def test_a_row_without_keys_is_a_row(bench: Bench) -> None:
    assert bench.column(bench.read('{"a": "x"}\n{}\n', "a.jsonl"), "a") == ["x", ""]


def test_too_many_keys(bench: Bench) -> None:
    kind, message = failure(bench.read("".join(f'{{"k{i}": 1}}\n' for i in range(3000)), "a.jsonl"))
    assert kind == "header" and message.startswith("Up to line 2001 the objects have 2,001 different keys")


def test_a_nul_byte_is_named_by_line(bench: Bench) -> None:
    kind, message = failure(bench.read(b'{"a": "b"}\n{"a": "\0"}\n', "a.jsonl"))
    assert kind == "file" and message.startswith("Line 2 has a NUL byte")


def test_a_broken_byte_is_named_by_line(bench: Bench) -> None:
    lines = ['{"a": "schön groß süß"}'] * 20
    content = "\n".join(lines).encode() + b'\n{"a": "\xc3"}\n'
    kind, message = failure(bench.read(content, "a.jsonl"))
    assert kind == "encoding" and message.startswith("Line 21 has a byte that is not UTF-8")


def test_a_huge_line_is_named(bench: Bench) -> None:
    huge = json.dumps({"a": "x" * source.MAX_CELL})
    message = failure(bench.read('{"a": "b"}\n' + huge + "\n", "a.jsonl"))[1]
    assert (
        message
        == "Line 2 is longer than 10 MB: no text is that long. Cut it into several rows, or leave it out."
    )


def test_a_long_first_line_is_still_json(bench: Bench) -> None:
    text = "word " * 100_000
    view = bench.read(json.dumps({"text": text}) + "\n", "unknown")
    assert bench.column(view, "text") == [text]


def test_half_a_character_is_replaced_and_said(bench: Bench) -> None:
    view = bench.read('{"a": "cut \\ud83d", "b": ["\\uDE00"]}\n{"a": "\\ud83d\\ude00", "b": []}\n', "a.jsonl")
    assert bench.column(view, "a") == ["cut \ufffd", "😀"]
    assert bench.column(view, "b") == ['["\ufffd"]', "[]"]
    (warning,) = warnings(view)
    assert warning.startswith("characters: Half a character") and warning.endswith(": line 1.")


def test_half_a_character_in_a_key(bench: Bench) -> None:
    view = bench.read('{"\\ud83d": "x"}\n', "a.jsonl")
    assert (view["columns"], bench.column(view, "\ufffd")) == (["\ufffd"], ["x"])


def test_unequal_tokens_and_tags_are_for_the_task_to_refuse(bench: Bench) -> None:
    view = bench.read(
        lines_of({"tokens": ["a", "b"], "tags": ["O"]}, {"tokens": "no list", "tags": []}), "a.jsonl"
    )
    assert bench.column(view, "tokens") == ['["a","b"]', "no list"]


def test_the_reader_tells_how_far_it_is_and_can_be_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.datasets import ingest as module
    from app.datasets.options import ReadOptions

    monkeypatch.setattr(json_rows, "_TELL_EVERY", 2**20)
    monkeypatch.setattr(apart, "_SMALL", 2**30)  # in this process
    path = bench.files.root / "big.jsonl"
    row = json.dumps({"text": "some words of a text " * 20}) + "\n"
    path.write_text(row * (5 * 2**20 // len(row)))
    told: list[int] = []
    module.ingest(path, bench.files.root, "big.jsonl", ReadOptions(), told.append)
    assert told == sorted(told) and told[-1] == path.stat().st_size
    assert sum(0 < value <= path.stat().st_size // 2 for value in told) >= 2  # the pass for the keys

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    (bench.files.root / "rows.parquet").unlink()
    with pytest.raises(KeyboardInterrupt):
        module.ingest(path, bench.files.root, "big.jsonl", ReadOptions(), stop)
    assert not list(bench.files.root.glob("*rows.parquet*"))


def test_a_key_that_is_ours_names_a_column_without_its_underscores(bench: Bench) -> None:
    view = bench.read('{"text": "a", "__id": 1}\n', "a.jsonl")
    assert view["columns"] == ["text", "id"]
    assert warnings(view)[0].startswith("column id: Is called '__id', and names that begin")
