"""The new-run form: between its text fields and the run spec, both ways, and which problem belongs to which field.

A field of the form has the name of the spec's field, or of the role whose column it chooses. Columns of a role that
takes several are ticked: "label:COLUMN".
"""

from collections.abc import Collection, Mapping
from typing import Any, get_args

from app.core.errors import Problem
from app.core.spec import OPTIONS, RunSpec
from app.tasks import TASKS
from app.tasks.base import Role, Task
from app.web.fields import MAIN, MORE, number
from app.web.learns import DEFAULTS, strategy_fields, strategy_from
from app.web.learns import OPTIONS as STRATEGY_OPTIONS

SPLITS = {
    "random": "random, same share of each label",
    "column": "a column says it",
    "group": "by group: a customer, a document",
    "time": "by time: the newest rows test",
    "files": "as the files were uploaded",
}
FRACTIONS = ("train", "validation", "test")
OTHER, FINISHED = "other", "finished"  # the model is typed, or chosen among the finished runs
_GENERAL = tuple(field.name for field in MAIN + MORE if field.name != "early_stopping")
KNOWN = (
    *("dataset", "dataset_version", "task", "name", *_GENERAL, "early_stopping", *OPTIONS, "split"),
    *("split_column", "split_seed", *FRACTIONS, "model", "strategy", *STRATEGY_OPTIONS),
)

_NUMBERS = {
    name
    for name, field in RunSpec.model_fields.items()
    if {int, float} & {field.annotation, *get_args(field.annotation)}
}


def way_key(way: tuple[Role, ...]) -> str:
    """What the form calls an alternative of a task's inputs: "tokens+tags"."""
    return "+".join(role.name for role in way)


def way_of(task: Task, form: Mapping[str, str]) -> tuple[Role, ...]:
    """The alternative of the task's inputs that a form means: the one that it names, else the nearest to what it has."""
    named = {way_key(way): way for way in task.inputs}
    given = {
        role.name: True for way in task.inputs for role in way if form.get(role.name) or ticked(form, role)
    }
    return named.get(form.get("way", "")) or task.roles(given)


def ticked(form: Mapping[str, str], role: Role) -> list[str]:
    """The columns that are ticked for a role that takes several."""
    prefix = f"{role.name}:"
    return [
        name.removeprefix(prefix)
        for name, value in form.items()
        if role.many and value and name.startswith(prefix)
    ]


def spec_from_form(form: Mapping[str, str]) -> dict[str, Any]:
    """The spec that a form asks for. Empty fields are left out; what is no number stays text, for parse_spec to name.

    Fields that the task doesn't know are passed over: they are left from another choice of task.
    """
    given = {name: value.strip() for name, value in form.items() if value.strip()}
    task = TASKS.get(given.get("task", "classification"))
    roles = way_of(task, form) if task else (Role("text"), Role("label"))
    columns = {role.name: ticked(form, role) or form.get(role.name, "") for role in roles}
    spec: dict[str, Any] = {
        "dataset": given.get("dataset", ""),
        "task": given.get("task", "classification"),
        "columns": {role: column for role, column in columns.items() if column},
        "model": _model(given),
    }
    for name in ("dataset_version", "name", *_GENERAL, *(task.options if task else OPTIONS)):
        if name in given:
            spec[name] = given[name]
    spec["strategy"] = strategy_from(given)
    if spec["strategy"]["kind"] != "head":
        spec.pop("pooling", None)  # left from another choice of strategy
    if "source_prefix" in spec:
        spec["source_prefix"] = form["source_prefix"]  # its last space counts
    if "whole_word_masking" in spec:
        spec["whole_word_masking"] = True
    if "early_stopping" in given:
        spec["early_stopping"] = {"patience": number(given["early_stopping"])}
    kind = given.get("split", "random")
    split: dict[str, Any] = {"kind": kind}
    if kind not in ("random", "files"):
        split["column"] = given.get("split_column", "")
    if kind not in ("column", "files"):
        split.update({name: number(given[name]) for name in FRACTIONS if name in given})
        if "split_seed" in given:
            split["seed"] = number(given["split_seed"])
    spec["split"] = split
    for name, value in spec.items():
        if name in _NUMBERS:
            spec[name] = number(value)
    return spec


def form_from_spec(
    spec: Mapping[str, Any], offered: Collection[str], finished: Collection[str]
) -> dict[str, str]:
    """The fields that repeat a run. `offered`: ids of the models that have a card of their own; `finished`: "run:ID" of
    the finished runs that can be chosen."""
    split = spec.get("split") or {}
    form: dict[str, Any] = {name: spec.get(name) for name in (*_GENERAL, *OPTIONS, "dataset", "task", "name")}
    columns: dict[str, str | list[str]] = spec.get("columns") or {}
    for role, column in columns.items():
        form.update({role: column} if isinstance(column, str) else {f"{role}:{one}": "on" for one in column})
    if task := TASKS.get(str(spec.get("task"))):
        form["way"] = way_key(task.roles(columns))
    form["early_stopping"] = (spec.get("early_stopping") or {}).get("patience")
    form.update({"split": split.get("kind", "random"), "split_column": split.get("column")})
    form.update({"split_seed": split.get("seed"), **{name: split.get(name) for name in FRACTIONS}})
    form.update(model_fields(spec.get("model", "starter"), offered, finished))
    form.update(strategy_fields(spec.get("strategy") or {}))
    return {name: _text(value) for name, value in form.items() if value is not None and value is not False}


def model_fields(model: str, offered: Collection[str], finished: Collection[str]) -> dict[str, str]:
    """The form's fields for the model of a spec."""
    if model in finished:
        return {"model": FINISHED, "model_run": model}
    return {"model": model} if model in offered else {"model": OTHER, "model_other": model}


def by_field(problems: list[Problem], shown: Collection[str] = KNOWN) -> dict[str, list[str]]:
    """{field: [sentences]}; what belongs to none of the fields `shown` is under ''."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        field = field_of(problem["where"])
        message = problem["message"]
        if field not in shown:
            field = ""
        if not field and problem["where"]:
            message = f"{problem['where']}: {message}"
        found.setdefault(field, []).append(message)
    return found


def shown_fields(task: Task, way: tuple[Role, ...]) -> set[str]:
    """The fields that the form has for a task: where a problem can stand."""
    roles = {role.name for role in way}
    return (set(KNOWN) - set(OPTIONS)) | {"columns"} | roles | set(task.options)


def field_of(where: str) -> str:
    """The form's field for a problem's place: columns.text → text, split.column → split_column."""
    head, _, rest = where.partition(".")
    if head == "columns":
        return rest.partition(".")[0] or "columns"
    if head == "split":
        return (
            rest if rest in FRACTIONS else {"column": "split_column", "seed": "split_seed"}.get(rest, "split")
        )
    if head == "strategy":
        return rest.partition(".")[0] if rest.partition(".")[0] in STRATEGY_OPTIONS else "strategy"
    return head if head in KNOWN else ""


def plain_defaults() -> dict[str, str]:
    """Defaults that don't depend on model or data, as the form shows them in empty fields."""
    shown = {name: RunSpec.model_fields[name].default for name in (*_GENERAL, *OPTIONS)}
    split = {"train": "0.8", "validation": "0.1", "test": "0.1", "split_seed": "0"}
    return {
        **{name: _text(value) for name, value in {**shown, **DEFAULTS}.items() if value is not None},
        **split,
    }


def _model(given: Mapping[str, str]) -> str:
    model = given.get("model", "starter")
    typed = {OTHER: "model_other", FINISHED: "model_run"}.get(model)
    return given.get(typed, "") if typed else model


def _text(value: Any) -> str:
    if value is True:
        return "on"
    # repr, not %g: a repeated run must get the very same number.
    return repr(value).replace("e-0", "e-") if isinstance(value, float) else str(value)
