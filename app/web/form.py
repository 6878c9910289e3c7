"""The new-run form: between its text fields and the run spec, both ways, and which problem belongs to which field."""

from dataclasses import dataclass
from typing import Any

from app.core.errors import Problem
from app.core.spec import RunSpec


@dataclass(frozen=True)
class Field:
    """A number that can be typed. Left empty, its default counts; `hint` says what that is about."""

    name: str
    title: str
    hint: str = ""
    example: str = ""


MAIN = (
    Field("epochs", "epochs", "times through the training rows"),
    Field("batch_size", "batch size", "texts an optimiser step"),
    Field("learning_rate", "learning rate"),
    Field("max_length", "maximum length", "tokens; longer texts are cut"),
    Field("seed", "seed", "same seed, same run"),
)
MORE = (
    Field("warmup_ratio", "warm-up", "share of the steps"),
    Field("weight_decay", "weight decay"),
    Field("max_grad_norm", "gradient clip", "largest norm"),
    Field("accumulation", "accumulation", "micro-batches a step"),
    Field("eval_steps", "evaluate every", "steps; empty: after each epoch"),
    Field("early_stopping", "early stopping", "patience in evaluations; empty: off"),
    Field("label_smoothing", "label smoothing"),
)
SPLITS = {
    "random": "random, same share of each label",
    "column": "a column says it",
    "group": "by group: a customer, a document",
    "time": "by time: the newest rows test",
}
FRACTIONS = ("train", "validation", "test")
OTHER = "other"  # the model whose id is typed
_NUMBERS = tuple(field.name for field in MAIN + MORE if field.name != "early_stopping")
KNOWN = (
    "dataset",
    "dataset_version",
    "task",
    "text",
    "label",
    "name",
    "class_weights",
    *_NUMBERS,
    "early_stopping",
    "split",
    "split_column",
    "split_seed",
    *FRACTIONS,
    "model",
    "model_other",
)


def spec_from_form(form: dict[str, str]) -> dict[str, Any]:
    """The spec that a form asks for. Empty fields are left out; what is no number stays text, for parse_spec to name."""
    given = {name: value.strip() for name, value in form.items() if value.strip()}
    spec: dict[str, Any] = {
        "dataset": given.get("dataset", ""),
        "task": given.get("task", "classification"),
        "columns": {role: given[role] for role in ("text", "label") if role in given},
        "model": given.get("model", "starter"),
    }
    if spec["model"] == OTHER:
        spec["model"] = given.get("model_other", "")
    for name in ("dataset_version", "name", "class_weights", *_NUMBERS):
        if name in given:
            spec[name] = given[name]
    if "early_stopping" in given:
        spec["early_stopping"] = {"patience": given["early_stopping"]}
    kind = given.get("split", "random")
    split: dict[str, Any] = {"kind": kind}
    if kind != "random":
        split["column"] = given.get("split_column", "")
    if kind != "column":
        split.update({name: given[name] for name in FRACTIONS if name in given})
        if "split_seed" in given:
            split["seed"] = given["split_seed"]
    spec["split"] = split
    return spec


def form_from_spec(spec: dict[str, Any], offered: set[str]) -> dict[str, str]:
    """The fields that repeat a run. `offered`: ids of the models that have a card of their own."""
    split = spec.get("split") or {}
    form: dict[str, Any] = {name: spec.get(name) for name in (*_NUMBERS, "dataset", "name", "class_weights")}
    form.update(spec.get("columns") or {})
    form["early_stopping"] = (spec.get("early_stopping") or {}).get("patience")
    form.update({"split": split.get("kind", "random"), "split_column": split.get("column")})
    form.update({"split_seed": split.get("seed"), **{name: split.get(name) for name in FRACTIONS}})
    model = spec.get("model", "starter")
    form["model"] = model if model in offered else OTHER
    form["model_other"] = None if model in offered else model
    return {name: _text(value) for name, value in form.items() if value is not None}


def by_field(problems: list[Problem]) -> dict[str, list[str]]:
    """{field: [sentences]}; what belongs to no field is under ''."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        field = field_of(problem["where"])
        message = problem["message"]
        if not field and problem["where"]:
            message = f"{problem['where']}: {message}"
        found.setdefault(field, []).append(message)
    return found


def field_of(where: str) -> str:
    """The form's field for a problem's place: columns.text → text, split.column → split_column."""
    head, _, rest = where.partition(".")
    if head == "columns":
        return rest if rest in ("text", "label") else ""
    if head == "split":
        return (
            rest if rest in FRACTIONS else {"column": "split_column", "seed": "split_seed"}.get(rest, "split")
        )
    return head if head in KNOWN else ""


def plain_defaults() -> dict[str, str]:
    """Defaults that don't depend on model or data, as the form shows them in empty fields."""
    shown = {name: RunSpec.model_fields[name].default for name in _NUMBERS}
    split = {"train": "0.8", "validation": "0.1", "test": "0.1", "split_seed": "0"}
    return {**{name: _text(value) for name, value in shown.items() if value is not None}, **split}


def _text(value: Any) -> str:
    # repr, not %g: a repeated run must get the very same number.
    return repr(value).replace("e-0", "e-") if isinstance(value, float) else str(value)
