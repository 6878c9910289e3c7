"""The kinds of steps between versions: a file a kind, and its name in `AnyStep`."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from app.core.errors import Invalid, Problem
from app.datasets.steps.base import Step
from app.datasets.steps.clean import Clean
from app.datasets.steps.drop import Drop
from app.datasets.steps.merge import Merge
from app.datasets.steps.put import Put
from app.datasets.steps.swap import Swap

__all__ = ["AnyStep", "Clean", "Drop", "Merge", "Put", "Step", "Swap", "parse_step"]

AnyStep = Annotated[Clean | Drop | Merge | Put | Swap, Field(discriminator="kind")]
STEPS: TypeAdapter[Any] = TypeAdapter(AnyStep)


def parse_step(value: Any) -> Step:
    """A step out of JSON. Raises Invalid with every fault, each under the field's name."""
    try:
        step: Step = STEPS.validate_python(value)
    except ValidationError as error:
        raise Invalid.from_problems(
            "The step can't be used", [_problem(one) for one in error.errors()]
        ) from error
    return step


def _problem(fault: Any) -> Problem:
    where = ".".join(str(part) for part in fault["loc"][1:]) or "kind"
    if fault["type"] == "extra_forbidden":
        message = f"there is no field {where!r}; remove it or check its spelling"
    elif fault["type"] == "missing":
        message = "is required"
    elif not fault["loc"]:
        message = "the kind of a step must be one of clean, drop, merge, put and swap"
    else:
        text = fault["msg"].removeprefix("Input ").removeprefix("Value ")
        message = f"{text[:1].lower()}{text[1:]} (got {str(fault['input'])[:80]!r})"
    return {"where": where, "message": message}
