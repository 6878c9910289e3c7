"""The step `edit`: each cell its own value, rows out and in; what it refuses."""

from typing import Any

import pytest

from app.core.errors import Invalid
from app.datasets.rows import LINE, ROW_ID
from app.datasets.steps import parse_step
from app.datasets.steps.edit import Edit
from tests.datasets.steps.test_steps import after, table


def cell(row: int, column: str, value: str) -> dict[str, Any]:
    return {"row": row, "column": column, "value": value}


def test_each_cell_gets_its_own_value_and_the_later_one_counts() -> None:
    cells = [cell(12, "label", "a"), cell(10, "label", "b"), cell(11, "text", "T"), cell(12, "label", "")]
    found = after(table(text=["x", "y", "z"], label=["p", "q", "r"]), kind="edit", cells=cells)
    assert found == {ROW_ID: [10, 11, 12], LINE: [2, 3, 4], "text": ["x", "T", "z"], "label": ["b", "q", ""]}


def test_rows_are_dropped_and_rows_come() -> None:
    step = parse_step(
        {
            "kind": "edit",
            "cells": [cell(10, "label", "x")],
            "drop": [11],
            "add": [{"text": "new"}, {"label": "p"}],
        }
    )
    found = step.change(table(text=["a", "b"], label=["p", "q"])).to_pydict()
    assert (found[ROW_ID], found["label"]) == ([10], ["x"])
    assert step.added(["text", "label"]) == [{"text": "new"}, {"label": "p"}]
    assert step.needs.tolist() == [10, 11] and list(step.columns) == ["label", "text"]


def test_a_block_without_the_rows_stays_as_it_is() -> None:
    block = table(text=["a"], label=["p"])
    assert parse_step({"kind": "edit", "cells": [cell(3, "label", "x")]}).change(block) is block


@pytest.mark.parametrize(
    ("step", "title"),
    [
        ({"cells": [cell(1, "label", "a"), cell(2, "label", "a"), cell(2, "text", "b")]}, "edit 2 rows (2 in label, 1 in text)"),
        ({"add": [{"text": "a"}] * 50, "drop": [3, 3, 4]}, "add 50 rows, drop 2 rows"),
        ({"cells": [cell(1, name, "a") for name in "abcde"]}, "edit 1 row (1 in a, 1 in b, 1 in c and 2 more columns)"),
    ],
)  # fmt: skip
def test_the_title_counts(step: Any, title: str) -> None:
    assert parse_step({"kind": "edit", **step}).title == title


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({}, "at least one of cells, drop and add"),
        ({"cells": [{"row": 1, "column": "label"}]}, r"cells\.0\.value: is required"),
        ({"cells": [cell(-1, "label", "x")]}, r"cells\.0\.row: "),
        ({"cells": [cell(1, "label", "x" * 100_001)]}, r"cells\.0\.value: "),
        ({"add": [{}]}, r"add\.0: "),
        ({"rows": [1]}, "there is no field 'rows'"),
    ],
)
def test_what_is_no_edit_is_refused_with_its_field(step: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_step({"kind": "edit", **step})


def test_all_values_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.datasets.steps.edit.MAX_CHARS", 10)
    with pytest.raises(Invalid, match="11 characters"):
        parse_step({"kind": "edit", "cells": [cell(1, "a", "12345")], "add": [{"a": "123456"}]})


def test_it_comes_back_out_of_its_json() -> None:
    step = parse_step({"kind": "edit", "cells": [cell(1, "a", "b")], "add": [{"a": "c"}]})
    assert isinstance(step, Edit) and parse_step(step.model_dump(mode="json")) == step
