"""Each kind of step on a small table: what it changes, and that it changes nothing else."""

from typing import Any

import pyarrow as pa
import pytest

from app.core.errors import Invalid
from app.datasets.rows import LINE, ROW_ID
from app.datasets.steps import parse_step
from app.datasets.steps.clean import repaired, stripped, without_html


def table(**columns: list[str]) -> Any:
    rows = len(next(iter(columns.values())))
    ids = {ROW_ID: pa.array(range(10, 10 + rows), pa.int64()), LINE: pa.array(range(2, 2 + rows), pa.int64())}
    return pa.table({**ids, **{name: pa.array(cells, pa.string()) for name, cells in columns.items()}})


def after(block: Any, **step: Any) -> dict[str, list[Any]]:
    return dict(parse_step(step).change(block).to_pydict())


def test_drop_leaves_the_named_rows_out() -> None:
    found = after(table(text=["a", "b", "c"]), kind="drop", rows=[11, 11, 99])
    assert found == {ROW_ID: [10, 12], LINE: [2, 4], "text": ["a", "c"]}


def test_put_writes_one_value_into_the_named_rows() -> None:
    found = after(table(text=["a", "b"], label=["x", "y"]), kind="put", rows=[11], column="label", value="x")
    assert (found["text"], found["label"]) == (["a", "b"], ["x", "x"])


def test_merge_compares_stripped_labels() -> None:
    found = after(
        table(label=["pos", " Pos ", "POS", "neg"]),
        kind="merge",
        column="label",
        labels={"Pos": "pos", "POS": "pos"},
    )
    assert found["label"] == ["pos", "pos", "pos", "neg"]


def test_swap_changes_two_cells_of_the_named_rows() -> None:
    found = after(
        table(text=["a", "pos"], label=["neg", "b"]), kind="swap", rows=[11], first="text", second="label"
    )
    assert (found["text"], found["label"]) == (["a", "b"], ["neg", "pos"])


def test_clean_works_on_one_column() -> None:
    found = after(table(a=[" x ", "y"], b=[" x ", "y"]), kind="clean", column="a", how="spaces")
    assert (found["a"], found["b"]) == (["x", "y"], [" x ", "y"])


def test_clean_leaves_as_many_tokens_as_there_are_tags() -> None:
    cells = ['["a &amp; b","<br>","caf&eacute;"]', '["as it","was"]']
    found = after(table(tokens=cells), kind="clean", column="tokens", how="html")
    assert found["tokens"] == ['["a & b","<br>","café"]', '["as it","was"]']


@pytest.mark.parametrize(
    ("cell", "clean"),
    [(" a b\t", "a b"), ("\ufeffa\u200b", "a"), ("می\u200cخواهم", "می\u200cخواهم"), ("👩\u200d💻", "👩\u200d💻"), ("a\u200d", "a")],
)  # fmt: skip
def test_strip_takes_what_nobody_sees(cell: str, clean: str) -> None:
    assert stripped(cell) == clean


@pytest.mark.parametrize(
    ("cell", "clean"),
    [
        ("<p>One<br/>two</p>", "One two"),
        ('<a href="x">here</a> &amp; there', "here & there"),
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 you, AT&T", "I <3 you, AT&T"),
        ("<user> said <unk>", "<user> said <unk>"),
        ("<!-- no -->yes", "yes"),
    ],
)
def test_html_goes_and_what_only_looks_like_it_stays(cell: str, clean: str) -> None:
    assert without_html(cell) == clean


@pytest.mark.parametrize(
    "text", ["Käse für 5 €", "naïve “quotes” – yes", "it’s", "Ärger über Öl", "ĄĆŁ žluťoučký"]
)
def test_a_wrong_encoding_is_repaired(text: str) -> None:
    broken = "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in text.encode())
    assert repaired(broken) == text


@pytest.mark.parametrize("text", ["Käse", "São Paulo", "Ã", "CAFÃ", "ÂGE", "100 €"])
def test_text_that_is_right_is_not_repaired(text: str) -> None:
    assert repaired(text) == text


def test_a_half_broken_cell_is_repaired_where_it_is_broken() -> None:
    assert repaired("cafÃ© in 東京") == "café in 東京"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (None, "must be one of clean, column, drop"),
        ({"kind": "explode"}, "must be one of clean, column, drop"),
        ({"kind": "drop"}, "rows: is required"),
        ({"kind": "drop", "rows": []}, "rows: "),
        ({"kind": "drop", "rows": [-1]}, r"rows\.0: "),
        ({"kind": "drop", "rows": [1], "row": 2}, "there is no field 'row'"),
        ({"kind": "clean", "column": "text", "how": "soap"}, "how: "),
    ],
)
def test_what_is_no_step_is_refused_with_its_field(step: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_step(step)
