"""Parquet: values become the cells that JSON lines would give."""

import datetime
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.datasets import apart
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions
from app.datasets.readers import parquet
from app.datasets.readers.parquet import ParquetTable

from .conftest import Bench, failure


def stored(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        (["a", " b ", None], ["a", " b ", ""]),
        ([1, None, -3], ["1", "", "-3"]),
        ([1.5, 2.0, float("nan")], ["1.5", "2", ""]),
        (pa.array([0.1, None], pa.float32()), ["0.1", ""]),
        ([True, False, None], ["true", "false", ""]),
        ([datetime.date(2024, 5, 31), None], ["2024-05-31", ""]),
        (pa.array(["x", "y", None, "x"]).dictionary_encode(), ["x", "y", "", "x"]),
        ([["a", "ü"], [], None], ['["a","ü"]', "[]", ""]),
        ([[{"start": 0, "end": 1, "label": "P"}]], ['[{"start":0,"end":1,"label":"P"}]']),
        (pa.array([None, None], pa.null()), ["", ""]),
        (pa.array(["a"], pa.large_string()), ["a"]),
    ],
)
@pytest.mark.parametrize("rows_a_group", [1, 100])
def test_values_become_cells(bench: Bench, values: Any, cells: list[str], rows_a_group: int) -> None:
    table = pa.table({"a": values, "text": ["t"] * len(values)})
    view = bench.read(stored(table, row_group_size=rows_a_group), "a.parquet")
    assert (view["state"], view["options"]["format"], view["options"]["encoding"]) == (
        "ready",
        "parquet",
        None,
    )
    assert bench.column(view, "a") == cells
    assert [item["line"] for item in bench.items(view)] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_large_row_group_is_read_as_a_small_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, use_dictionary: bool
) -> None:
    columns = {
        "text": [f"text {i}" if i % 3 else None for i in range(500)],
        "a.b": ["x" * 100, "y"] * 250,
        "n": list(range(500)),
        "l": [["a"], None] * 250,
    }
    content = stored(pa.table(columns), use_dictionary=use_dictionary, row_group_size=300)
    small = bench.read(content, "a.parquet")
    monkeypatch.setattr(parquet, "_SMALL_GROUP", 0)
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 1000)
    assert bench.read(content, "a.parquet")["sha256"] == small["sha256"]


def test_a_large_row_group_lies_in_memory_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_SMALL_GROUP", 2**20)
    path = tmp_path / "original"
    path.write_bytes(stored(pa.table({"text": [f"{i} " + "x" * 1000 for i in range(60_000)]})))
    before, most = pa.total_allocated_bytes(), 0
    table = ParquetTable(path)
    for _ in table.blocks():
        most = max(most, pa.total_allocated_bytes() - before)
    table.close()
    assert most < 24 * 2**20  # of 60 MB


def test_a_text_that_a_large_row_group_says_again_and_again_is_still_no_bomb(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_SMALL_GROUP", 0)
    content = stored(pa.table({"text": ["x" * 10**6] * 300}), compression="zstd")
    assert "no text packs that well" in failure(bench.read(content, "a.parquet"))[1]


def test_the_name_does_not_matter(bench: Bench) -> None:
    assert bench.read(stored(pa.table({"text": ["a", "b"]})), "a.csv")["rows"] == 2


@pytest.mark.parametrize(
    "values",
    [
        [b"x"],
        [{"a": b"x"}],
        [[b"x"]],
        pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())),
        [[[[[[[[[["x"]]]]]]]]]],
    ],
)
def test_what_is_no_text_is_refused_by_name(bench: Bench, values: Any) -> None:
    view = bench.read(stored(pa.table({"text": ["t"], "odd": values})), "a.parquet")
    kind, message = failure(view)
    assert kind == "parquet" and "the column odd, which holds" in message
    assert [problem["where"] for problem in view["problems"]] == ["column odd"]


def test_structs_maps_and_lists_of_them_are_json(bench: Bench) -> None:
    odd = {
        "s": [{"a": 1, "b": {"c": ["x"]}}, None],
        "l": [[{"a": {"b": 1}}], [[]][0]],
        "m": pa.array([[("k", [1, 2])], []], pa.map_(pa.string(), pa.list_(pa.int64()))),
    }
    view = bench.read(stored(pa.table({"text": ["t", "u"], **odd})), "a.parquet")
    assert bench.column(view, "s") == ['{"a":1,"b":{"c":["x"]}}', ""]
    assert bench.column(view, "l") == ['[{"a":{"b":1}}]', "[]"]
    assert bench.column(view, "m") == ['{"k":[1,2]}', "{}"]


def test_a_giant_list_is_told_by_row(bench: Bench) -> None:
    lists = pa.ListArray.from_arrays([0, 1, 6 * 10**6], pa.array(np.zeros(6 * 10**6, np.int8)))
    kind, message = failure(bench.read(stored(pa.table({"text": ["a", "b"], "n": lists})), "a.parquet"))
    assert kind == "file" and message.startswith("Row 2 has a cell that is longer than 10 MB")


def test_a_list_that_fits_no_memory_ends_the_reading_and_not_the_server(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "MEMORY", 300 * 2**20)
    lists = pa.ListArray.from_arrays([0, 80 * 10**6], pa.array(np.zeros(80 * 10**6, np.int8)))
    content = stored(pa.table({"n": lists}), compression="zstd")
    assert len(content) < 10**5
    view = bench.read(content, "a.parquet")
    assert "Reading row 1 takes too much memory" in failure(view)[1]
    assert {path.name for path in bench.files.version(view["id"], 1).iterdir()} == {"original"}


def test_reading_apart_ends_when_the_data_set_is_deleted(tmp_path: Path) -> None:
    class Gone(Exception): ...

    def deleted(_: int) -> None:
        raise Gone

    (tmp_path / "original").write_bytes(stored(pa.table({"l": [["a"]] * 10})))
    with pytest.raises(Gone):
        ingest(tmp_path / "original", tmp_path, "a.parquet", ReadOptions(), deleted)
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_no_rows(bench: Bench) -> None:
    kind, message = failure(bench.read(stored(pa.table({"text": pa.array([], pa.string())})), "a.parquet"))
    assert kind == "no_rows" and "only columns: text" in message


def test_a_giant_cell_is_told_by_row(bench: Bench) -> None:
    kind, message = failure(bench.read(stored(pa.table({"text": ["a", "x" * (11 * 2**20)]})), "a.parquet"))
    assert kind == "file" and message.startswith("Row 2 has a cell that is longer than 10 MB")


def test_it_can_be_read_as_nothing_else(bench: Bench) -> None:
    content = stored(pa.table({"text": ["a", "b"]}))
    kind, message = failure(bench.read(content, "a.parquet", format="csv"))
    assert kind == "file" and "is in the format Parquet" in message
    kind, message = failure(bench.read("text,label\na,b\n", "a.csv", format="parquet"))
    assert kind == "file" and "is not in the format Parquet" in message


def test_a_damaged_file_never_ends_the_process(bench: Bench) -> None:
    """pyarrow aborts on some damaged metadata of columns; bytes changed at random found it."""
    import random

    content = stored(pa.table({"text": ["a b", "c"] * 20, "l": [["x"], []] * 20}))
    chance = random.Random(1)
    states = set()
    for _ in range(20):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.randrange(len(content) // 2, len(content) - 8)] = chance.randrange(256)
        view = bench.read(bytes(damaged), "a.parquet")
        assert view["state"] == "ready" or view["error"]["kind"] != "bug", view["error"]
        states.add(view["state"])
    assert "failed" in states
