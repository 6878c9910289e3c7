"""The kinds of steps between versions: a file a kind, and its name in `AnyStep`."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.core.errors import Invalid, Problem
from app.datasets.steps.base import Step
from app.datasets.steps.clean import Clean
from app.datasets.steps.column import NewColumn
from app.datasets.steps.drop import Drop
from app.datasets.steps.edit import Edit
from app.datasets.steps.merge import Merge
from app.datasets.steps.put import Put
from app.datasets.steps.swap import Swap

__all__ = ["AnyStep", "Clean", "Drop", "Edit", "Merge", "NewColumn", "Put", "Step", "Swap", "parse_step"]

AnyStep = Annotated[Clean | NewColumn | Drop | Edit | Merge | Put | Swap, Field(discriminator="kind")]
STEPS: TypeAdapter[Any] = TypeAdapter(AnyStep)


def parse_step(value: Any) -> Step:
    """A step out of JSON. Raises Invalid with every fault, each under the field's name."""
    try:
        step: Step = STEPS.validate_python(value)
    except ValidationError as error:
        raise Invalid.from_problems(
            "The step can't be used", [problem_of(one, 1) for one in error.errors()]
        ) from error
    return step


def problem_of(fault: Any, skip: int = 0) -> Problem:
    """One of pydantic's errors in our words; the first `skip` parts of its place are none of the user's fields."""
    where = ".".join(str(part) for part in fault["loc"][skip:])
    if fault["type"] == "value_error":  # a check of our own, of the whole
        return {"where": where, "message": str(fault["ctx"]["error"])}
    where = where or "kind"
    if fault["type"] == "extra_forbidden":
        message = f"there is no field {where!r}; remove it or check its spelling"
    elif fault["type"] == "missing":
        message = "is required"
    elif not fault["loc"]:
        message = "the kind of a step must be one of clean, column, drop, edit, merge, put and swap"
    else:
        text = fault["msg"].removeprefix("Input ").removeprefix("Value ")
        message = f"{text[:1].lower()}{text[1:]} (got {str(fault['input'])[:80]!r})"
    return {"where": where, "message": message}
