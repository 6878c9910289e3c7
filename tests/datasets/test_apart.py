"""What is read in a process of its own, and that it can be stopped there."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from app.datasets import apart
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions
from app.datasets.packed import Member

from .test_parquet import stored
from .test_xlsx import TABLE, workbook

_SILENT = "import sys, time; sys.stdin.readline(); time.sleep(1e9)"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"text,label\na,b\n", False),
        (b'{"text": "a"}\n' * 80_000, True),
        (workbook(one=TABLE), False),
        (workbook(one=TABLE * 2000), True),
        (stored(pa.table({"text": ["a"]})), True),
        (b"PK\x03\x04 is no zip", False),
    ],
)
def test_what_may_take_much_memory_is_read_apart(tmp_path: Path, content: bytes, wanted: bool) -> None:
    path = tmp_path / "original"
    path.write_bytes(content)
    assert apart.is_wanted([Member(path, "a")]) is wanted


def test_a_text_is_read_alike_in_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "original"
    path.write_text("".join(json.dumps({"text": f"ä {i}", "n": [1.5, i]}) + "\n" for i in range(50)))
    here = ingest(path, tmp_path, "a.jsonl", ReadOptions())
    monkeypatch.setattr(apart, "_SMALL", 0)
    told: list[int] = []
    assert ingest(path, tmp_path, "a.jsonl", ReadOptions(), told.append) == here
    assert told[-1] == path.stat().st_size


def test_a_reader_that_says_nothing_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Exception): ...

    def deleted(_: int) -> None:
        raise Gone

    silent = tmp_path / "python"
    silent.write_text(f"#!{sys.executable}\n{_SILENT}\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    with pytest.raises(Gone):
        apart.read([], tmp_path, ReadOptions(), deleted, False)
