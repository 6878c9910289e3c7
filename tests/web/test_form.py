"""The new-run form and the spec, both ways."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.core.spec import OPTIONS, RunSpec, parse_spec
from app.tasks import TASKS
from app.web.fields import OPTION_FIELDS
from app.web.form import (
    by_field,
    field_of,
    form_from_spec,
    shown_fields,
    spec_from_form,
    way_of,
)
from tests.web.tasks import Ranking

FORM = {"dataset": "a" * 12, "text": "t", "label": "l", "model": "starter"}
# One spec of each kind of columns, with every option that its task has.
SPECS: list[dict[str, Any]] = [
    {
        "task": "classification",
        "columns": {"text": "t", "label": "l"},
        "model": "hub:some/model",
        "epochs": 4,
        "learning_rate": 3.3333333333333335e-05,
        "early_stopping": {"patience": 2},
        "class_weights": "balanced",
        "label_smoothing": 0.1,
        "focal_gamma": 2.5,
        "truncation": "head_tail",
        "split": {"kind": "group", "column": "who", "train": 0.7, "validation": 0.1, "test": 0.2},
    },
    {
        "task": "multilabel",
        "columns": {"text": "t", "label": ["a", "b: c", "label"]},
        "truncation": "windows",
    },
    {"task": "multilabel", "columns": {"text": "t", "label": ["only"]}},
    {"task": "multilabel", "columns": {"text": "t", "label": "labels"}, "class_weights": "balanced"},
    {"task": "pair", "columns": {"text": "t", "text_pair": "u", "label": "l"}, "focal_gamma": 1.0},
    {"task": "score", "columns": {"text": "t", "label": "l"}, "model": "run:abcdefghijkl"},
    {"task": "tagging", "columns": {"tokens": "words", "tags": "bio"}, "model": "run:mnopqrstuvwx"},
    {"task": "tagging", "columns": {"text": "t", "spans": "s"}},
    {
        "task": "text2text",
        "columns": {"source": "s", "target": "t"},
        "source_language": "en_XX",
        "target_language": "fr_XX",
        "source_prefix": "translate English to French: ",
        "max_target_length": 48,
        "num_beams": 2,
        "max_new_tokens": 90,
    },
    {"task": "generation", "columns": {"prompt": "p", "completion": "c"}, "max_new_tokens": 12},
    {"task": "generation", "columns": {"text": "t"}},
    {"task": "adaptation", "columns": {"text": "t"}, "whole_word_masking": True, "mask_probability": 0.3},
]


@pytest.fixture
def ninth() -> Iterator[Ranking]:
    """A task more, for the time of a test."""
    TASKS["ranking"] = task = Ranking()
    yield task
    del TASKS["ranking"]


def test_empty_fields_are_left_out() -> None:
    spec = spec_from_form({**FORM, "epochs": "", "name": "  ", "seed": " 3 "})
    assert spec == {
        "dataset": "a" * 12,
        "task": "classification",
        "columns": {"text": "t", "label": "l"},
        "model": "starter",
        "seed": 3,
        "strategy": {"kind": "full"},
        "split": {"kind": "random"},
    }
    assert parse_spec(spec).seed == 3


def test_a_typed_model_wins_only_if_its_card_is_chosen() -> None:
    assert spec_from_form({**FORM, "model_other": "hub:x"})["model"] == "starter"
    assert spec_from_form({**FORM, "model": "other", "model_other": " hub:x "})["model"] == "hub:x"
    chosen = {"model": "finished", "model_run": "run:abcdefghijkl", "model_other": "hub:x"}
    assert spec_from_form({**FORM, **chosen})["model"] == "run:abcdefghijkl"


def test_a_split_has_only_the_fields_of_its_kind() -> None:
    typed = {"split_column": "day", "train": "0.6", "validation": "0.2", "test": "0.2", "split_seed": "4"}
    random = spec_from_form({**FORM, **typed, "split": "random"})["split"]
    assert random == {"kind": "random", "train": 0.6, "validation": 0.2, "test": 0.2, "seed": 4}
    assert spec_from_form({**FORM, **typed, "split": "column"})["split"] == {
        "kind": "column",
        "column": "day",
    }
    assert spec_from_form({**FORM, **typed, "split": "time"})["split"]["column"] == "day"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec['task']}: {spec['columns']}")
def test_a_spec_survives_the_way_through_the_form(spec: dict[str, Any]) -> None:
    given = parse_spec({"dataset": "a" * 12, **spec})
    form = form_from_spec(given.model_dump(mode="json"), {"starter"}, {"run:abcdefghijkl"})
    assert parse_spec(spec_from_form(form)) == given


def test_every_option_of_every_task_survives_the_way_through_the_form() -> None:
    covered = {(spec["task"], name) for spec in SPECS for name in spec}
    other = {
        "class_weights": "balanced",
        "truncation": "windows",
        "whole_word_masking": True,
        "pooling": "mean",
    }
    for name, task in TASKS.items():
        for option in task.options:
            if (name, option) in covered:
                continue
            columns = {role.name: f"column {role.name}" for role in task.inputs[0]}
            value = other.get(option, "fr" if "language" in option or option == "source_prefix" else 0.5)
            value = 7 if isinstance(RunSpec.model_fields[option].default, int) and value == 0.5 else value
            value = 9 if option == "max_target_length" else value
            spec = {"dataset": "a" * 12, "task": name, "columns": columns, option: value}
            given = parse_spec({**spec, "strategy": {"kind": "head"}} if option == "pooling" else spec)
            form = form_from_spec(given.model_dump(mode="json"), (), ())
            assert parse_spec(spec_from_form(form)) == given, (name, option)


def test_every_option_of_a_spec_has_a_field() -> None:
    assert {*OPTION_FIELDS, "pooling"} == set(OPTIONS)  # pooling stands with the strategy


def test_where_a_model_has_a_field_of_its_own() -> None:
    spec = {"model": "run:abcdefghijkl"}
    assert form_from_spec(spec, {"starter"}, {"run:abcdefghijkl"})["model"] == "finished"
    form = form_from_spec(spec, {"starter"}, ())
    assert (form["model"], form["model_other"]) == ("other", "run:abcdefghijkl")
    assert form_from_spec({"model": "local:x"}, {"local:x"}, ())["model"] == "local:x"


def test_what_is_left_of_another_task_is_passed_over() -> None:
    left = {"task": "tagging", "tokens": "w", "tags": "b", "truncation": "windows", "num_beams": "2"}
    spec = spec_from_form({**FORM, **left, "label:a": "on"})
    assert spec["columns"] == {"tokens": "w", "tags": "b"}
    assert "truncation" not in spec and "num_beams" not in spec


def test_columns_that_are_missing_stay_missing_for_the_launcher_to_name() -> None:
    assert spec_from_form({**FORM, "task": "tagging", "way": "tokens+tags"})["columns"] == {}


def test_a_form_may_name_the_alternative_that_it_means() -> None:
    tagging = TASKS["tagging"]
    both = {"text": "t", "spans": "s", "tokens": "w", "tags": "b"}
    assert [role.name for role in way_of(tagging, {**both, "way": "text+spans"})] == ["text", "spans"]
    assert [role.name for role in way_of(tagging, {"text": "t", "spans": "s"})] == ["text", "spans"]
    assert [role.name for role in way_of(tagging, {"way": "of another task"})] == ["tokens", "tags"]


def test_a_ninth_task_has_its_roles_and_options(ninth: Ranking) -> None:
    form = {"task": "ranking", "question": "q", "reply": "r", "label_smoothing": "0.2", "focal_gamma": "2"}
    spec = spec_from_form({"dataset": "a" * 12, **form})
    assert spec["columns"] == {"question": "q", "reply": "r"}
    assert spec["label_smoothing"] == 0.2 and "focal_gamma" not in spec
    given = parse_spec(spec)
    assert parse_spec(spec_from_form(form_from_spec(given.model_dump(mode="json"), (), ()))) == given


def test_problems_find_their_fields() -> None:
    assert field_of("columns.text") == "text"
    assert field_of("columns.tokens") == "tokens"
    assert field_of("columns.label.3") == "label"
    assert field_of("columns") == "columns"
    assert field_of("num_beams") == "num_beams"
    assert field_of("split.column") == "split_column"
    assert field_of("split.seed") == "split_seed"
    assert field_of("split.train") == "train"
    assert field_of("split") == "split"
    assert field_of("early_stopping.patience") == "early_stopping"
    assert field_of("line 7") == ""
    found = by_field([{"where": "line 7", "message": "odd"}, {"where": "seed", "message": "no"}])
    assert found == {"": ["line 7: odd"], "seed": ["no"]}


def test_a_problem_of_a_field_that_is_not_shown_is_told_all_the_same() -> None:
    tagging = TASKS["tagging"]
    shown = shown_fields(tagging, tagging.inputs[0])
    problems: list[Any] = [
        {"where": "columns.tags", "message": "is required"},
        {"where": "columns.target", "message": "is no role"},
        {"where": "num_beams", "message": "means nothing"},
    ]
    assert by_field(problems, shown) == {
        "tags": ["is required"],
        "": ["columns.target: is no role", "num_beams: means nothing"],
    }
