"""The form's part "What learns": the strategies that the spec knows, their options, and the way to a spec and back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from app.core.spec import RunSpec
from app.core.strategies import Strategy
from app.tasks.base import Task
from app.web.fields import Field, number

_TITLES = {"lora": "LoRA"}
# How the options of the strategies are asked for; one that is not here is asked for by its name and description.
_FIELDS = {
    one.name: one
    for one in (
        Field("layers", "blocks that learn", kind="slider"),
        Field(
            "fit",
            "the head is fitted",
            kind="select",
            choices=(
                ("", "to its optimum, unless epochs are given"),
                ("converge", "to its optimum, by L-BFGS"),
                ("epochs", "for epochs, by AdamW"),
            ),
        ),
        Field(
            "pooling",
            "the head reads of a text",
            kind="select",
            choices=(
                ("", "the best that the model’s class can express"),
                ("own", "what the family’s own head reads"),
                ("cls", "its first token; of a decoder its last"),
                ("mean", "the mean of its tokens"),
            ),
        ),
        Field("layer_decay", "layer decay", "each block’s rate, as a share of that above it; 1: all alike"),
        Field("over", "thawed after", "share of the steps after which all learns"),
        Field("rank", "rank", "of the updates"),
        Field("alpha", "alpha", "scales the update by alpha / rank; empty: 2 × rank"),
        Field("dropout", "dropout", "of the update’s input"),
        Field(
            "targets",
            "matrices",
            "by name, with commas between; auto: all of the blocks",
            "auto",
            kind="text",
        ),
        Field("head_first", "fit the head first", "on the frozen trunk (LP-FT)", kind="check"),
    )
}


@dataclass(frozen=True)
class Choice:
    """A strategy on offer; `off`: why it can't be chosen, "" if it can."""

    kind: str
    title: str
    about: str
    fields: tuple[Field, ...]
    off: str = ""


def _choices() -> dict[str, Choice]:
    """The members of the spec's union, each described by its own docstring."""
    found = {}
    for model in get_args(get_args(Strategy)[0]):
        options = {name: about for name, about in model.model_fields.items() if name != "kind"}
        kind = get_args(model.model_fields["kind"].annotation)[0]
        fields = [
            _FIELDS.get(name) or Field(name, name.replace("_", " "), about.description or "")
            for name, about in options.items()
        ]
        about = (model.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        title = _TITLES.get(kind, kind)
        found[kind] = Choice(kind, title, about, tuple(sorted(fields, key=lambda one: one.kind == "check")))
    return found


CHOICES = _choices()
OPTIONS = tuple({field.name: None for choice in CHOICES.values() for field in choice.fields})
DEFAULTS: dict[str, Any] = {
    name: about.default
    for model in get_args(get_args(Strategy)[0])
    for name, about in model.model_fields.items()
    if name != "kind" and about.default is not None and about.default is not False
}


def choices_for(task: Task) -> list[Choice]:
    """The strategies in the spec's order, each with why the task refuses it."""
    offered = []
    for choice in CHOICES.values():
        spec = RunSpec.model_construct(dataset="", columns={}, strategy=_plain(choice.kind), task=task.name)
        problems = task.check_strategy(spec)
        why = problems[0]["message"].removeprefix(f"can't be {choice.kind}: ") if problems else ""
        offered.append(replace(choice, off=why))
    return offered


def fields_for(task: Task, kind: str) -> list[Field]:
    """The options of a strategy that the form asks for."""
    fields = list(CHOICES[kind].fields) if kind in CHOICES else []
    if not task.own_head:
        fields = [field for field in fields if field.name != "head_first"]
    if kind == "head" and "pooling" in task.options:
        fields.append(_FIELDS["pooling"])
    return fields


def strategy_from(given: Mapping[str, str]) -> dict[str, Any]:
    """The spec's strategy out of the form's fields that are filled in."""
    kind = given.get("strategy", "full")
    strategy: dict[str, Any] = {"kind": kind}
    for field in CHOICES[kind].fields if kind in CHOICES else ():
        if (text := given.get(field.name)) is not None:
            strategy[field.name] = number(text) if field.kind in ("number", "slider") else text
    if "head_first" in strategy:
        strategy["head_first"] = True
    if strategy.get("targets", "auto") != "auto":
        strategy["targets"] = [name.strip() for name in strategy["targets"].split(",") if name.strip()]
    return strategy


def strategy_fields(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """The form's fields for the strategy of a spec."""
    fields = {name: value for name, value in strategy.items() if name != "kind"}
    if isinstance(fields.get("targets"), list):
        fields["targets"] = ", ".join(fields["targets"])
    return {**fields, "strategy": strategy.get("kind", "full")}


def _plain(kind: str) -> Any:
    """The strategy with its defaults."""
    model = next(
        model
        for model in get_args(get_args(Strategy)[0])
        if get_args(model.model_fields["kind"].annotation)[0] == kind
    )
    return model(kind=kind)
