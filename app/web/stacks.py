"""A model drawn as a stack of blocks: what of it learns by a strategy, and at which rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from app.core.errors import HeadstartError
from app.core.spec import RunSpec
from app.core.strategies import Strategy
from app.models.defaults import defaults_for
from app.models.info import ModelInfo
from app.models.learning import NEVER, Level, levels_of
from app.models.stack import Stack, stack_of
from app.tasks.base import Task
from app.web.learns import strategy_from
from app.web.services import Services

MOST_ROWS = 14  # levels that are drawn one by one; of a deeper model like neighbours share a row


@dataclass(frozen=True)
class Picture:
    """The stack of a model with what a strategy does to it. `rows`: from the head down; `learns`, `numbers`: how many numbers
    learn, and how many there are, in words."""

    rows: list[dict[str, Any]]
    learns: str
    numbers: str


def levels_for(model: ModelInfo, task: Task, strategy: Any, classes: int) -> tuple[Stack, list[Level]] | None:
    """The stack and its levels; None where nothing is known of the model's blocks, or of the strategy."""
    stack = stack_of(model)
    if stack is None:
        return None
    head = stack.head(task.ability, max(1, classes), task.own_head)
    levels = levels_of(stack, strategy, head, task.own_head)
    return (stack, levels) if levels else None


def model_here(services: Services, model: str) -> ModelInfo | None:
    """A model by its id, if that can be told without asking the hub."""
    if not model or model.startswith("hub:"):
        return None
    try:
        return services.models.find(model)
    except HeadstartError:
        return None


def depth_of(model: ModelInfo) -> int | None:
    """How many blocks a model has, if that is known."""
    stack = stack_of(model)
    return stack.depth if stack else None


def sketch(model: ModelInfo, task: Task, form: Mapping[str, str]) -> Picture | None:
    """The picture by the form alone, before its data have been looked at: as if there were two classes."""
    given = {name: value.strip() for name, value in form.items() if value.strip()}
    try:
        strategy: Any = TypeAdapter(Strategy).validate_python(strategy_from(given))
        epochs, rate = (int(given["epochs"]) if "epochs" in given else None), given.get("learning_rate")
        usual = defaults_for(model, 1, task=task.ability, strategy=strategy)
        learning_rate = float(rate) if rate else usual.learning_rate
    except ValueError:  # pydantic's is one
        return None
    if usual.layer_decay is not None and getattr(strategy, "layer_decay", 1) is None:
        strategy = strategy.model_copy(update={"layer_decay": usual.layer_decay})
    spec = RunSpec.model_construct(
        dataset="", task=task.name, columns={}, strategy=strategy, epochs=epochs, learning_rate=learning_rate
    )
    known = levels_for(model, task, strategy, 2)
    return picture(known[1], spec) if known else None


def picture(levels: list[Level], spec: RunSpec) -> Picture:
    """`spec`: with its learning rate, if there is one."""
    rows: list[dict[str, Any]] = []
    # Where what runs once ends: its output is what the rest begins with.
    boundary = next((place for place, level in enumerate(levels) if level.learns), len(levels)) - 1
    for place, level in enumerate(levels):
        rate = spec.learning_rate * level.scale if spec.learning_rate and level.learns else None
        row = {
            "name": level.name,
            "from": place,
            "to": place,
            "numbers": short(level.numbers),
            "each": False,
            "state": _state(level, place == boundary > 0),
            "look": _look(level),
            "rate": "" if rate is None or spec.converges else _rate(rate),
        }
        alike = rows and all(rows[-1][name] == row[name] for name in ("numbers", "state", "rate"))
        if alike and len(levels) > MOST_ROWS:
            first = rows[-1]["from"]
            rows[-1].update(to=place, name=f"blocks {first}–{place}", each=True)
        else:
            rows.append(row)
    if spec.converges:
        rows[-1]["state"] = "fitted to its optimum"
    return Picture(
        rows=rows[::-1],
        learns=short(sum(level.learns for level in levels)),
        numbers=short(sum(level.numbers + (level.learns if level.adapter else 0) for level in levels)),
    )


def _look(level: Level) -> str:
    if level.adapter:
        return "adapter"
    return "frozen" if level.start == NEVER else "learns" if level.start == 0 else "thaws"


def _rate(rate: float) -> str:
    """1e-4, 4.5e-5"""
    return f"{rate:.1e}".replace(".0e", "e").replace("e-0", "e-")


def _state(level: Level, computed_once: bool) -> str:
    if level.adapter:
        return f"adapter, {short(level.learns)}" if level.learns else "frozen"
    if level.start == NEVER:
        return "frozen, computed once" if computed_once else "frozen"
    return "learns" if level.start == 0 else f"thaws at {100 * level.start:.0f} %"


def short(numbers: int) -> str:
    """22.7 M, 149 k"""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if numbers >= unit:
            return f"{numbers / unit:.{0 if numbers >= 100 * unit else 1}f} {name}"
    return str(numbers)
