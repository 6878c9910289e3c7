"""Pairs: what an input is, when two pairs are the same, which texts are known."""

from typing import Any

import pytest

from app.core.files import Files
from app.core.spec import RunSpec, parse_spec
from app.datasets.store import DatasetStore
from app.tasks.examples import Examples, load_examples
from app.tasks.pair import Pair, shared_texts
from tests.tasks.conftest import AddCsv

TASK = Pair()


def spec_of(dataset: str = "abcdefabcdef", **fields: Any) -> RunSpec:
    columns = {"text": "a", "text_pair": "b", "label": "same"}
    return parse_spec({"dataset": dataset, "task": "pair", "columns": columns, **fields})


def pairs(*texts: tuple[str, str], label: str = "yes") -> Examples:
    values = {
        "text": [first for first, _ in texts],
        "text_pair": [second for _, second in texts],
        "label": [label] * len(texts),
    }
    return Examples(list(range(len(texts))), values, ["train"] * len(texts))


def test_an_input_has_two_texts() -> None:
    assert TASK.wrong_input({"text": "a", "text_pair": "b"}, spec_of()) is None
    assert TASK.make_input({"text": "a", "text_pair": "b"}) == {"text": "a", "text_pair": "b"}
    assert [role.name for role in TASK.input_roles(spec_of())] == ["text", "text_pair"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("only one", "must be an object"),
        (["a", "b"], "not list"),
        ({"text": "a"}, "needs a text under text_pair"),
        ({"text": 1, "text_pair": None}, "needs a text under text and text_pair"),
        ({"text": "a", "text_pair": "b", "label": "c"}, "has label, which a pair has not"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(value: Any, sentence: str) -> None:
    assert sentence in str(TASK.wrong_input(value, spec_of()))


def test_the_same_pair_stays_in_one_part_and_the_same_text_need_not(
    store: DatasetStore, files: Files, add_csv: AddCsv
) -> None:
    lines = [f"one text,other {row // 2},{'yes' if row // 2 % 2 else 'no'}" for row in range(80)]
    found = load_examples(store, files, spec_of(add_csv("a,b,same\n" + "\n".join(lines) + "\n")))
    assert all(found.parts[row] == found.parts[row + 1] for row in range(0, 80, 2))
    assert set(found.parts) == {"train", "validation", "test"}


def test_held_out_pairs_with_a_text_of_a_training_pair_are_counted() -> None:
    train = pairs(("one", "two"), ("three", "four"))
    assert shared_texts(train, pairs(("ONE ", "new"), ("new", "four"), ("new", "newer"), ("two", "one"))) == 3


def test_a_label_needs_two_different_pairs() -> None:
    twice = pairs(("one", "two"), ("one", "Two"), ("a", "b"))
    twice.values["label"] = ["yes", "yes", "no"]
    (problem,) = TASK.check(twice, spec_of())
    assert "the 2 labels 'no', 'yes' have fewer than 2 different texts" in problem["message"]
    other = pairs(("one", "two"), ("one", "three"), ("a", "b"), ("a", "c"))
    other.values["label"] = ["yes", "yes", "no", "no"]
    assert TASK.check(other, spec_of()) == []


def test_the_cards_lines_give_the_pipeline_both_texts() -> None:
    lines = TASK.usage(spec_of(max_length=64), "FOLDER")
    compile(lines, "card", "exec")
    assert '"text_pair"' in lines and "max_length=64" in lines
