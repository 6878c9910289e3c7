"""What a spec asks for that its task, its model or its data don't allow: each check gives all of its problems."""

from app.core.errors import Invalid, Problem
from app.core.spec import OPTIONS, RunSpec
from app.core.strategies import Lora, Partial
from app.models.info import ModelInfo
from app.models.learning import is_of
from app.models.stack import stack_of
from app.tasks import task
from app.tasks.base import Task
from app.tasks.examples import Examples, names_of, part_sizes

WHAT = "The run can't start"
_NEEDED_PARTS = {
    "train": "to learn from",
    "validation": "to choose the best epoch by",
    "test": "to judge the result by",
}


def check_roles(spec: RunSpec, chosen: Task) -> None:
    """Raises Invalid unless the columns are those that the task needs."""
    roles = {role.name: role for role in chosen.roles(spec.columns)}
    ways = " or ".join(" and ".join(role.name for role in way) for way in chosen.inputs)
    problems: list[Problem] = [
        {"where": f"columns.{role}", "message": f"is required: name the column that holds the {role}"}
        for role in roles
        if not spec.columns.get(role)
    ]
    problems += [
        {"where": f"columns.{role}", "message": f"{spec.task} has no such role here; it reads {ways}"}
        for role in spec.columns
        if role not in roles
    ]
    problems += [
        {"where": f"columns.{role}", "message": "must be one column, not a list of columns"}
        for role, value in spec.columns.items()
        if role in roles and not roles[role].many and not isinstance(value, str)
    ]
    named = [name for role in roles if (value := spec.columns.get(role)) for name in names_of(value)]
    if len(set(named)) < len(named):
        problems.append(
            {
                "where": "columns",
                "message": f"{' and '.join(roles)} must be different columns, each named once",
            }
        )
    if problems:
        raise Invalid.from_problems(WHAT, problems)


def model_problems(spec: RunSpec, model: ModelInfo, chosen: Task) -> list[Problem]:
    if not chosen.fits(model):
        can = f"; it can be used for {', '.join(model.tasks)}" if model.tasks else ""
        return [{"where": "model", "message": f"{spec.model} can't be used for {spec.task}{can}"}]
    return chosen.check_model(spec, model)


def option_problems(spec: RunSpec, chosen: Task) -> list[Problem]:
    """Options that the task would pass over in silence."""
    return [
        {"where": name, "message": f"means nothing for {spec.task}; leave it out"}
        for name in OPTIONS
        if name not in chosen.options and getattr(spec, name) != RunSpec.model_fields[name].default
    ]


def epoch_problems(spec: RunSpec) -> list[Problem]:
    if spec.epochs is None or not spec.converges:
        return []
    message = (
        'means nothing for a head that is fitted to convergence; leave it out, or choose "fit": "epochs"'
    )
    return [{"where": "epochs", "message": message}]


def block_problems(spec: RunSpec, model: ModelInfo) -> list[Problem]:
    """What of the strategy the model's blocks don't have."""
    stack = stack_of(model)
    if stack is None:
        return []
    if isinstance(spec.strategy, Partial) and spec.strategy.layers > stack.depth:
        blocks = f"{stack.depth} block{'s' if stack.depth > 1 else ''}"
        shared = f", which runs {stack.repeats} times" if stack.repeats > 1 else ""
        message = (
            f"is {spec.strategy.layers}, but {spec.model} has {blocks}{shared}; choose {stack.depth} or less"
        )
        return [{"where": "strategy.layers", "message": message}]
    if isinstance(spec.strategy, Lora) and spec.strategy.targets != "auto":
        names = [name for block in stack.matrices for name in block]
        there = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
        return [
            {"where": "strategy.targets", "message": f"no block has a matrix {one[:80]!r}; there are {there}"}
            for one in spec.strategy.targets
            if not any(is_of(name, one) for name in names)
        ]
    return []


def length_problems(spec: RunSpec, model: ModelInfo) -> list[Problem]:
    limit = model.max_length
    if spec.max_length is None or limit is None or spec.max_length <= limit:
        return []
    message = (
        f"is {spec.max_length:,}, but {spec.model} reads at most {limit:,} tokens; choose {limit:,} or less"
    )
    return [{"where": "max_length", "message": message}]


def part_problems(examples: Examples) -> list[Problem]:
    return [
        {
            "where": "split",
            "message": f"no row is left {purpose} (the {part} part is empty): add rows or choose another split",
        }
        for part, purpose in _NEEDED_PARTS.items()
        if part_sizes(examples)[part] == 0
    ]


def step_problems(spec: RunSpec, steps: int) -> list[Problem]:
    every = spec.eval_steps
    known = task(spec.task).steps_known(spec)
    if every is None or every <= steps or not known:
        return []
    message = f"is {every:,}, but the run has only {steps:,} steps; choose fewer, or leave it out"
    return [{"where": "eval_steps", "message": message}]
