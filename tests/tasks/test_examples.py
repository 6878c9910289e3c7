"""From the chosen columns to examples with parts."""

from typing import Any

import pytest

from app.core.errors import Invalid, NotFound
from app.core.files import Files
from app.core.spec import RunSpec, parse_spec
from app.datasets.store import DatasetStore
from app.tasks.examples import Examples, load_examples, part_sizes
from tests.tasks.conftest import AddCsv


def spec_of(dataset: str, **fields: Any) -> RunSpec:
    columns = {"text": "text", "label": "label"}
    return parse_spec({"dataset": dataset, "task": "classification", "columns": columns, **fields})


def csv_of(rows: int) -> str:
    lines = [f"text number {row},{'good' if row % 2 else 'bad'}" for row in range(rows)]
    return "text,label\n" + "\n".join(lines) + "\n"


def test_examples_keep_the_files_order_and_row_ids(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    examples = load_examples(store, files, spec_of(add_csv(csv_of(40))))

    assert examples.row_ids == list(range(40))
    assert examples.texts[3] == "text number 3" and examples.labels[3] == "good"
    assert part_sizes(examples) == {"train": 32, "validation": 4, "test": 4}
    assert examples.dropped == {}


def test_labels_are_stripped_and_rows_without_text_or_label_left_out(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    extra = "a, good \nb,good\n  ,good\n,\nc,\nd,   \n 01 ,1\n"

    examples = load_examples(store, files, spec_of(add_csv(csv_of(20) + extra)))

    assert examples.labels[20:] == ["good", "good", "1"]
    assert examples.texts[20:] == ["a", "b", " 01 "]
    assert examples.row_ids[20:] == [20, 21, 26]
    assert examples.dropped == {"empty text": 2, "empty label": 2}


def test_the_parts_do_not_depend_on_the_runs_seed(store: DatasetStore, files: Files, add_csv: AddCsv) -> None:
    dataset = add_csv(csv_of(40))

    first = load_examples(store, files, spec_of(dataset, seed=1))
    second = load_examples(store, files, spec_of(dataset, seed=2))

    assert first.parts == second.parts


def test_a_split_by_column_is_followed(store: DatasetStore, files: Files, add_csv: AddCsv) -> None:
    lines = [f"text {row},{row % 2},{['train', 'val', 'test'][row % 3]}" for row in range(12)]
    dataset = add_csv("text,label,part\n" + "\n".join(lines) + "\n")

    examples = load_examples(store, files, spec_of(dataset, split={"kind": "column", "column": "part"}))

    assert examples.parts == ["train", "validation", "test"] * 4


def test_columns_that_are_not_there_are_all_named(store: DatasetStore, files: Files, add_csv: AddCsv) -> None:
    dataset = add_csv(csv_of(20))
    spec = spec_of(
        dataset, columns={"text": "txt", "label": "Label"}, split={"kind": "group", "column": "customer"}
    )

    with pytest.raises(Invalid) as caught:
        load_examples(store, files, spec)

    assert [problem["where"] for problem in caught.value.problems] == [
        "columns.text",
        "columns.label",
        "split.column",
    ]
    assert "there is no column 'txt'; the file has 'text', 'label'" in caught.value.message


def test_nothing_left_is_said(store: DatasetStore, files: Files, add_csv: AddCsv) -> None:
    with pytest.raises(Invalid, match="no row has both a text in 'text' and a label in 'label'"):
        load_examples(store, files, spec_of(add_csv("text,label\nonly text,\nand more,\n")))


def test_an_unknown_data_set_is_not_found(store: DatasetStore, files: Files) -> None:
    with pytest.raises(NotFound):
        load_examples(store, files, spec_of("abcdefabcdef"))


def test_a_part_is_examples_again() -> None:
    values = {"text": ["a", "b", "c"], "label": ["x", "y", "x"]}
    examples = Examples([0, 1, 2], values, ["train", "test", "train"], {"empty text": 1})

    train = examples.part("train")

    assert train == Examples([0, 2], {"text": ["a", "c"], "label": ["x", "x"]}, ["train", "train"])
    assert len(examples.part("validation")) == 0
