"""The form's part "What learns": it offers what the spec's union has, and loses nothing on the way to a spec and back."""

from typing import Any, get_args

import pytest

from app.core.spec import parse_spec
from app.core.strategies import Strategy
from app.tasks import TASKS
from app.web.form import by_field, field_of, form_from_spec, spec_from_form
from app.web.learns import CHOICES, OPTIONS, choices_for, fields_for

MEMBERS = get_args(get_args(Strategy)[0])
SPEC = {"dataset": "a" * 12, "task": "classification", "columns": {"text": "t", "label": "l"}}


def test_every_strategy_of_the_spec_is_offered_with_a_field_for_each_option() -> None:
    for model in MEMBERS:
        kind = get_args(model.model_fields["kind"].annotation)[0]
        assert {field.name for field in CHOICES[kind].fields} == set(model.model_fields) - {"kind"}
        assert CHOICES[kind].about and CHOICES[kind].about in (model.__doc__ or "")
    assert len(CHOICES) == len(MEMBERS)


@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "full", "layer_decay": 0.875, "head_first": True},
        {"kind": "head", "fit": "converge"},
        {"kind": "partial", "layers": 3, "layer_decay": 0.3333333333333333},
        {"kind": "gradual", "over": 0.25},
        {"kind": "lora", "rank": 4, "alpha": 6.5, "dropout": 0.05, "targets": ["q_proj", "mlp.down_proj"]},
        {"kind": "lora", "targets": "auto"},
    ],
)
def test_a_strategy_survives_the_way_through_the_form(strategy: dict[str, Any]) -> None:
    given = parse_spec({**SPEC, "strategy": strategy})
    form = form_from_spec(given.model_dump(mode="json"), ("starter",), ())
    assert parse_spec(spec_from_form(form)) == given


def test_what_is_left_from_another_strategy_is_passed_over() -> None:
    form = {"dataset": "a" * 12, "text": "t", "label": "l", "layers": "99", "rank": "x", "pooling": "mean"}
    spec = spec_from_form({**form, "strategy": "full"})
    assert spec["strategy"] == {"kind": "full"} and "pooling" not in spec
    assert spec_from_form({**form, "strategy": "partial"})["strategy"] == {"kind": "partial", "layers": 99}
    assert spec_from_form({**form, "strategy": "head"})["pooling"] == "mean"


def test_a_strategy_that_there_is_none_of_is_named_at_its_field() -> None:
    assert spec_from_form({"strategy": "magic"})["strategy"] == {"kind": "magic"}
    found = by_field(
        [{"where": "strategy", "message": "no"}, {"where": "strategy.layers", "message": "many"}]
    )
    assert found == {"strategy": ["no"], "layers": ["many"]}
    assert [field_of(f"strategy.{name}") for name in OPTIONS] == list(OPTIONS)
    assert field_of("strategy.kind") == "strategy"


def test_a_task_without_a_head_of_its_own_says_why_it_refuses_head() -> None:
    refused = {choice.kind: choice.off for choice in choices_for(TASKS["text2text"]) if choice.off}
    assert set(refused) == {"head"} and "whole vocabulary" in refused["head"]
    assert not any(choice.off for choice in choices_for(TASKS["classification"]))
    assert "head_first" not in [field.name for field in fields_for(TASKS["adaptation"], "full")]
    assert "pooling" in [field.name for field in fields_for(TASKS["score"], "head")]
    assert "pooling" not in [field.name for field in fields_for(TASKS["tagging"], "head")]
