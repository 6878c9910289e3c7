"""A run spec reports every fault at once, by the field's name."""

from typing import Any

import pytest

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec

GOOD: dict[str, Any] = {
    "dataset": "a" * 12,
    "task": "classification",
    "columns": {"text": "text", "label": "label"},
}


def test_everything_but_data_task_and_columns_has_a_default() -> None:
    spec = parse_spec(GOOD)
    assert (spec.model, spec.strategy.kind, spec.split.kind, spec.seed) == ("starter", "full", "random", 1)


def test_a_stored_spec_reads_back_the_same() -> None:
    spec = parse_spec({**GOOD, "split": {"kind": "group", "column": "customer"}})
    assert RunSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        parse_spec({**GOOD, "epochs": 0, "batch_size": "many", "learnig_rate": 1e-5})
    assert {problem["where"] for problem in caught.value.problems} == {
        "epochs",
        "batch_size",
        "learnig_rate",
    }
    assert "(and 2 more)" in caught.value.message


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"bogus": 1}, "bogus", "there is no field 'bogus'"),
        ({"task": "Poetry!"}, "task", "is no task's name"),
        ({"strategy": {"kind": "odd"}}, "strategy", "kind must be one of 'full', 'head'"),
        ({"split": {"kind": "odd"}}, "split", "must be one of"),
        ({"split": {"train": 0.5, "validation": 0.1, "test": 0.1, "kind": "random"}}, "split", "add up"),
        ({"dataset": "../../etc"}, "dataset", "no data set's id"),
        ({"dataset": ""}, "dataset", "is empty: choose one"),
        ({"model": ""}, "model", "is empty: choose one"),
        ({"learning_rate": float("nan")}, "learning_rate", "finite number"),
        ({"columns": ["text"]}, "columns", "must be a JSON object"),
        ({"dataset_version": 2**63}, "dataset_version", "less than or equal"),
    ],
)
def test_a_fault_names_its_field_and_says_what_is_wrong(
    change: dict[str, Any], where: str, says: str
) -> None:
    with pytest.raises(Invalid) as caught:
        parse_spec({**GOOD, **change})
    (problem,) = caught.value.problems
    assert problem["where"] == where
    assert says in problem["message"]


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="spec: must be a JSON object"):
        parse_spec(value)


def test_pooling_may_stand_in_the_strategy() -> None:
    inside = parse_spec({**GOOD, "strategy": {"kind": "head", "pooling": "mean"}})
    beside = parse_spec({**GOOD, "strategy": {"kind": "head"}, "pooling": "mean"})
    assert inside == beside


@pytest.mark.parametrize(
    ("strategy", "epochs", "converges"),
    [
        ({"kind": "head"}, None, True),
        ({"kind": "head"}, 3, False),
        ({"kind": "head", "fit": "epochs"}, None, False),
        ({"kind": "head", "fit": "converge"}, None, True),
        ({"kind": "full"}, None, False),
    ],
)
def test_a_head_without_epochs_is_fitted_to_convergence(
    strategy: dict[str, Any], epochs: int | None, converges: bool
) -> None:
    assert parse_spec({**GOOD, "strategy": strategy, "epochs": epochs}).converges is converges


def test_a_fault_in_a_strategy_names_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        parse_spec({**GOOD, "strategy": {"kind": "partial", "layers": 0}})
    assert [problem["where"] for problem in caught.value.problems] == ["strategy.layers"]
