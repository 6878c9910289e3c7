"""How many rows lose text, told from the first of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.models.starter import starter
from app.web import lengths
from tests.web.conftest import CSV

Upload = Callable[..., dict[str, Any]]
LONG = "text,label\n" + "".join(f"{'a film ' * (40 if n < 6 else 3)}{n},{'xy'[n % 2]}\n" for n in range(60))


def test_tokens_are_those_of_training_without_cutting_or_padding() -> None:
    folder = starter().path
    assert folder is not None
    # Six words and the two special tokens; the file itself would cut and pad to 128.
    assert lengths.cut_rows(folder, [("one two three four five six",)], 8) == (1, 0)
    assert lengths.cut_rows(folder, [("one two three four five six",)], 7) == (1, 1)
    assert lengths.cut_rows(folder, [("one " * 300,), ("one",)], 128) == (2, 1)
    assert lengths.cut_rows(folder, [("one two", "three four")], 7) == (1, 0)
    assert lengths.cut_rows(folder, [("one two", "three four")], 6) == (1, 1)


def test_a_tokenizer_that_can_not_be_read_is_no_bug_here(tmp_path: Path) -> None:
    assert lengths.cut_rows(tmp_path, [("one",)], 8) == (0, 0)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert lengths.cut_rows(tmp_path, [("one",)], 8) == (0, 0)


def test_very_long_texts_are_not_read_to_their_end_nor_all_of_them() -> None:
    folder = starter().path
    assert folder is not None
    rows, cut = lengths.cut_rows(folder, [("word " * 100_000,)] * 500, 128)
    assert cut == rows == lengths.MOST_CHARS // (lengths.CHARS_A_TOKEN * 128)


def test_the_preview_says_how_many_rows_are_too_long(client: TestClient, upload: Upload) -> None:
    form = {"dataset": upload(LONG)["id"], "text": "text", "label": "label", "max_length": "32"}

    def told(**more: str) -> str:
        aside: str = client.post("/runs/new/preview", data={**form, **more}).json()["aside"]
        return aside

    assert "6 of 60 rows lose their end" in told()
    assert "6 of 60 rows lose their middle" in told(truncation="head_tail")
    assert "too long" not in told(truncation="windows")
    assert "too long" not in told(max_length="128")
    form["dataset"] = upload(CSV)["id"]
    assert "too long" not in told()
