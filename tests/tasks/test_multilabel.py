"""Labels read out of both forms, what makes them unfit, figures by hand, thresholds."""

from typing import Any

import numpy as np
import pytest

from app.core.errors import Invalid
from app.core.files import Files
from app.core.spec import RunSpec, parse_spec
from app.datasets.store import DatasetStore
from app.tasks.examples import Examples, Reading, load_examples
from app.tasks.multilabel import Multilabel, tuned, with_flag, with_label
from tests.tasks.conftest import AddCsv

TASK = Multilabel()


def spec_of(label: str | list[str] = "labels", **fields: Any) -> RunSpec:
    columns = {"text": "text", "label": label}
    return parse_spec({"dataset": "abcdefabcdef", "task": "multilabel", "columns": columns, **fields})


def read(table: dict[str, list[str]], label: str | list[str] = "labels") -> Reading:
    count = len(next(iter(table.values())))
    return TASK.read(
        {"text": ["x"] * count, **table}.__getitem__, spec_of(label), lambda row: f"line {row + 2}"
    )


def examples(*rows: tuple[str, list[str]], parts: list[str] | None = None) -> Examples:
    values: dict[str, list[Any]] = {
        "text": [text for text, _ in rows],
        "label": [labels for _, labels in rows],
    }
    return Examples(list(range(len(rows))), values, parts or ["train"] * len(rows))


def flags(*rows: str) -> np.ndarray:
    return np.array([[mark == "1" for mark in row] for row in rows])


def test_labels_in_one_column_are_stripped_parted_and_merged() -> None:
    reading = read({"labels": ["b| a |b", "", " | ", "c d"]})
    assert reading.values["label"] == [["a", "b"], [], [], ["c d"]]
    assert reading.left_out == [None] * 4  # a row without a label is an example too


def test_labels_in_one_column_may_be_json_lists() -> None:
    reading = read({"labels": ['["b"," a ","b"]', "[]", "[3]", '["c|d"]', "[a"]})
    assert reading.values["label"] == [["a", "b"], [], ["3"], ["c|d"], ["[a"]]
    assert with_label('["a"]', "b", True) == '["a","b"]' and with_label('["a","b"]', "a", False) == '["b"]'


def test_only_rows_without_a_text_are_left_out() -> None:
    reading = read({"text": ["x", " "], "labels": ["a", "a"]})
    assert reading.left_out == [None, "empty text"]


def test_columns_of_yes_and_no() -> None:
    table = {"b": ["1", "No", "1.0", " false "], "a": ["TRUE", "0", "yes", "0.0"]}
    assert read(table, ["b", "a"]).values["label"] == [["a", "b"], [], ["a", "b"], []]


def test_a_cell_that_says_neither_yes_nor_no_is_named_with_its_line_and_column() -> None:
    with pytest.raises(Invalid) as caught:
        read({"a": ["1", "2", ""], "b": ["0", "0", "1"]}, ["a", "b"])
    assert [problem["where"] for problem in caught.value.problems] == ["line 3", "line 4"]
    assert "'2' in column 'a' is neither yes nor no; write 1 or 0" in caught.value.problems[0]["message"]
    assert "column 'a' is empty" in caught.value.problems[1]["message"]


def test_many_faults_are_counted_and_only_the_shown_ones_looked_up() -> None:
    asked: list[int] = []

    def where(row: int) -> str:
        asked.append(row)
        return f"line {row + 2}"

    table = {"text": ["x"] * 500, "a": ["?"] * 500, "b": ["1"] * 500}
    with pytest.raises(Invalid) as caught:
        TASK.read(table.__getitem__, spec_of(["a", "b"]), where)
    assert caught.value.problems[-1]["message"] == "and 480 more rows like these"
    assert len(asked) == 20


def test_a_faulty_cell_of_a_row_without_text_is_no_matter() -> None:
    assert read({"text": ["", "x"], "a": ["?", "1"], "b": ["1", "1"]}, ["a", "b"]).left_out == [
        "empty text",
        None,
    ]


def test_rows_of_a_rare_label_come_into_each_part(store: DatasetStore, files: Files, add_csv: AddCsv) -> None:
    lines = [f"text {row},{'common|rare' if row % 40 == 0 else 'common|often'}" for row in range(200)]
    spec = spec_of()
    dataset = add_csv("text,labels\n" + "\n".join(lines) + "\n")

    found = load_examples(store, files, spec.model_copy(update={"dataset": dataset}))

    rare = [part for part, labels in zip(found.parts, found["label"], strict=True) if "rare" in labels]
    assert sorted(rare) == ["test", "train", "train", "train", "validation"]


def test_columns_of_yes_and_no_are_read_out_of_a_file(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    lines = [f"text {row},{row % 2},{'yes' if row % 3 else 'no'}" for row in range(60)]
    spec = spec_of(["odd", "third"])
    dataset = add_csv("text,odd,third\n" + "\n".join(lines) + "\n")

    found = load_examples(store, files, spec.model_copy(update={"dataset": dataset}))

    assert found["label"][:4] == [[], ["odd", "third"], ["third"], ["odd"]]
    assert TASK.check(found, spec) == []


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("one", []), ("two", [])], "no row has a label in column 'labels'"),
        ([("one", ["a"]), ("two", ["a"]), ("three", [])], "column 'labels' has rows of the label 'a' only"),
        (
            [("one", ["a"]), ("two", ["a"]), ("three", ["b"])],
            "the label 'b' has fewer than 2 different texts",
        ),
        (
            [("one", ["a", "b"]), ("ONE ", ["b"]), ("two", ["a"])],
            "the label 'b' has fewer than 2 different texts",
        ),
        ([("one", ["0"]), ("two", ["1"]), ("three", ["1"])], "column 'labels' says only yes or no; name all"),
        (
            [("one", ["a, b"]), ("two", ["b, c"]), ("three", ["c"])],
            "seem to be parted by ','; write | between them",
        ),
        ([(f"{row}", [f"label {row}"]) for row in range(1001)], "1,001 different labels"),
    ],
)
def test_data_that_cannot_be_learned_from(rows: list[tuple[str, list[str]]], sentence: str) -> None:
    (problem,) = TASK.check(examples(*rows), spec_of())
    assert problem["where"] == "columns.label"
    assert sentence in problem["message"]


def test_a_column_that_never_says_yes_is_named() -> None:
    rows = [("one", ["a", "b"]), ("two", ["a"]), ("three", ["b"])]
    (problem,) = TASK.check(examples(*rows), spec_of(["a", "b", "never"]))
    assert "the label 'never' has fewer than 2 different texts" in problem["message"]


def test_a_label_that_no_training_row_has_is_named() -> None:
    rows = [("one", ["a"]), ("two", ["a", "b"]), ("three", ["b", "c"]), ("four", ["c"]), ("five", ["b"])]
    parts = ["train", "train", "test", "validation", "train"]
    (problem,) = TASK.check(examples(*rows, parts=parts), spec_of())
    assert problem["where"] == "split" and "no training row has 'c' (2 rows)" in problem["message"]


def test_good_data_has_no_problem_and_its_labels_are_in_order() -> None:
    found = examples(("one", ["b", "a"]), ("two", ["b", "a"]), ("three", []))
    assert TASK.check(found, spec_of()) == []
    assert TASK.labels(found) == ["a", "b"]


def test_metrics_by_hand() -> None:
    truth = flags("100", "110", "010", "000")
    predicted = flags("100", "100", "010", "010")
    # a: 2 of 2 found. b: hit 1, missed 1, spurious 1. c is nowhere and has no say.
    found = TASK.metrics(truth, predicted)
    assert found == {"micro_f1": pytest.approx(2 * 3 / (4 + 4)), "macro_f1": pytest.approx((1.0 + 0.5) / 2)}
    assert TASK.metrics(truth[3:], flags("000")) == {"micro_f1": 1.0, "macro_f1": 1.0}
    assert TASK.metrics(truth, flags(*["000"] * 4)) == {"micro_f1": 0.0, "macro_f1": 0.0}


def test_results_by_hand() -> None:
    found = TASK.results(flags("10", "11", "01"), flags("10", "10", "00"), ["a", "b"], np.array([0.3, 0.5]))
    assert found["labels"] == ["a", "b"] and found["rows"] == 3
    assert found["per_class"] == [
        {"label": "a", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 2, "threshold": 0.3},
        {"label": "b", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2, "threshold": 0.5},
    ]


def test_a_threshold_finds_the_gap_when_there_are_many_rows() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((4000, 1)) < 0.3
    probabilities = np.where(truth, 0.30, 0.02) + generator.random((4000, 1)) * 0.04
    (found,) = tuned(truth, probabilities)
    assert 0.06 < found < 0.30
    assert ((probabilities >= found) == truth).all()


def test_a_label_with_few_rows_takes_the_common_threshold_and_no_rows_at_all_a_half() -> None:
    generator = np.random.default_rng(0)
    truth = np.zeros((1000, 3), dtype=bool)
    truth[:500, 0] = truth[:1, 1] = True
    probabilities = np.where(truth, 0.3, 0.1) + generator.random((1000, 3)) * 0.01
    probabilities[0, 1] = 0.9  # alone it would have the threshold 0.5
    common, rare, absent = tuned(truth, probabilities)
    assert 0.1 < absent < 0.3 and 0.1 < common < 0.3
    assert absent < rare < 0.35
    assert tuned(np.zeros((5, 2), dtype=bool), np.full((5, 2), 0.2)).tolist() == [0.5, 0.5]


def test_rows_that_are_alike_are_not_told_apart_by_a_threshold() -> None:
    truth = np.array([[True], [False]] * 50)
    (found,) = tuned(truth, np.full((100, 1), 0.4))
    assert found < 0.4  # all or nothing; all has the higher F1


def test_an_answer_as_cells() -> None:
    output = {"labels": ["a", "c"], "probabilities": {"a": 0.9, "b": 0.1, "c": 0.7}}
    assert TASK.output_cells(output) == {"predicted": "a|c", "p: a": 0.9, "p: b": 0.1, "p: c": 0.7}


@pytest.mark.parametrize("truncation", ["end", "head_tail", "windows"])
def test_the_cards_lines_use_the_thresholds(truncation: str) -> None:
    lines = TASK.usage(spec_of(max_length=64, truncation=truncation), "FOLDER")
    compile(lines, "card", "exec")
    assert "headstart_thresholds" in lines
    assert ("its answers are not those that were measured here" in lines) == (truncation != "end")


@pytest.mark.parametrize(
    ("cell", "there", "written"),
    [
        ("", True, "c"),
        ("b | a", True, "b | a|c"),
        (" c ", True, " c "),
        ("b|c| a", False, "b| a"),
        ("c", False, ""),
    ],
)
def test_a_label_is_written_into_a_cell_and_out_of_it(cell: str, there: bool, written: str) -> None:
    assert with_label(cell, "c", there) == written


@pytest.mark.parametrize(
    ("cell", "there", "written"),
    [
        ("0", True, "1"),
        ("True", False, "False"),
        ("NO", True, "YES"),
        ("1.0", False, "0.0"),
        ("yes", True, "yes"),
    ],
)
def test_a_yes_is_turned_in_the_words_of_its_column(cell: str, there: bool, written: str) -> None:
    assert with_flag(cell, there) == written
