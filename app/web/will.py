"""What a checked spec would do, in the words of the form's box: data, steps, what learns, memory, time."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.core.spec import FilesSplit, RandomSplit, RunSpec, TimeSplit
from app.core.strategies import Strategy
from app.models.info import ModelInfo
from app.models.learning import words_of, work
from app.tasks import TASKS
from app.tasks.base import Task
from app.web.diagnosis import diagnosis_line
from app.web.estimate import estimated_seconds, memory_bytes
from app.web.lengths import cut_line
from app.web.render import count, duration
from app.web.services import Services
from app.web.stacks import Picture, depth_of, levels_for, model_here, picture

STRATEGY: TypeAdapter[Any] = TypeAdapter(Strategy)


@dataclass(frozen=True)
class Will:
    """`lines`: {"name", "value"} in their order, one with "href". `stack`: None where nothing is known of the model's blocks."""

    lines: list[dict[str, str]]
    stack: Picture | None


def will_happen(services: Services, checked: dict[str, Any]) -> Will:
    """`checked`: of actions.check."""
    spec, rows = RunSpec.model_validate(checked["spec"]), checked["rows"]
    task = TASKS[spec.task]
    lines = {
        "task": checked["what"],
        "train / val / test": " / ".join(count(rows[part]) for part in ("train", "validation", "test")),
    }
    if not isinstance(spec.split, RandomSplit):
        by = (
            "the files they came in"
            if isinstance(spec.split, FilesSplit)
            else f"the column {spec.split.column}"
        )
        lines["split"] = f"by {'time, ' if isinstance(spec.split, TimeSplit) else ''}{by}"
    if spec.converges:
        lines["fitted"] = "to its optimum, by L-BFGS, without epochs"
    else:
        lines["steps"] = (
            f"{count(checked['steps'])} in {spec.epochs} epoch{'' if spec.epochs == 1 else 's'}"
            + ("" if task.steps_known(spec) else ", more or fewer by the lengths of the texts")
        )
    lines["batch"] = f"{spec.batch_size} rows of up to {spec.max_length} tokens"
    if not spec.converges:
        lines["learning rate"] = f"{spec.learning_rate:.3g}".replace("e-0", "e-")
    drawn = None
    model = model_here(services, spec.model)
    known = levels_for(model, task, spec.strategy, checked["classes"]) if model else None
    if known is not None:
        stack, levels = known
        drawn = picture(levels, spec)
        lines["learns"] = f"{drawn.learns} of {drawn.numbers} parameters"
        memory = memory_bytes(stack, levels, spec, not task.own_head)
        lines["memory"] = f"about {memory / 1e9:.1f} GB: an estimate, for a CPU"
    else:
        lines["learns"] = words_of(checked["spec"]["strategy"])
    if time := _time(services, checked, model):
        lines["time"] = time
    if cut := cut_line(services, checked["spec"]):
        lines["too long"] = cut
    if left_out := [
        f"{number:,} row{'' if number == 1 else 's'} with {reason}"
        for reason, number in checked["dropped"].items()
        if number
    ]:
        lines["left out"] = ", ".join(left_out)
    told = [{"name": name, "value": value} for name, value in lines.items()]
    if diagnosis := diagnosis_line(services, checked["spec"]):
        told.append({"name": "data doctor", **diagnosis})
    return Will(told, drawn)


def _time(services: Services, checked: dict[str, Any], model: ModelInfo | None) -> str:
    price = partial(_price, model, TASKS[checked["spec"]["task"]], checked["classes"])
    with services.database.read() as session:
        found = estimated_seconds(session, checked["spec"], checked["steps"], price)
    if found is None:
        return ""
    seconds, told_by = found
    other = told_by.get("strategy") != checked["spec"]["strategy"]
    blocks = depth_of(model) if model else None
    by = f" ({words_of(told_by.get('strategy') or {}, blocks)})" if other else ""
    return f"about {duration(roughly(seconds))}, {'by' if other else 'as'} your last run with this model{by}"


def _price(model: ModelInfo | None, task: Task, classes: int, spec: dict[str, Any]) -> float | None:
    """What a training text costs under a spec, all epochs together; None where the blocks aren't known."""
    try:
        strategy = STRATEGY.validate_python(spec.get("strategy"))
    except ValidationError:  # of a run of before
        return None
    known = levels_for(model, task, strategy, classes) if model else None
    return work(*known, spec.get("epochs"), words=not task.own_head) if known else None


def roughly(seconds: float) -> float:
    """No finer than an estimate can be: 8 s, 50 s, 2 min 30 s, 20 min, 1 h 30 min."""
    units = ((10, 1), (120, 10), (600, 30), (3600, 60), (86400, 600))
    unit = next((unit for below, unit in units if seconds < below), 3600)
    return max(1, round(seconds / unit)) * unit
