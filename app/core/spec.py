"""The run spec: what a user asks for. Part of the public interface; its JSON schema is in the OpenAPI page.

Unknown fields are refused by name, and every fault is reported at once. Fields whose default depends on
the model or on the data are None here and filled in by app.launch, so that a stored spec is complete.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import Invalid, Problem

TaskName = Literal["classification"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Full(Strict):
    """All weights learn."""

    kind: Literal["full"] = "full"


class Fractions(Strict):
    train: float = Field(default=0.8, gt=0, lt=1)
    validation: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _whole(self) -> "Fractions":
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        return self


class RandomSplit(Fractions):
    """Stratified by label; rows with the same normalised text share a part."""

    kind: Literal["random"] = "random"


class ColumnSplit(Strict):
    """A column of the file says it: train, validation (also valid, val, dev) or test."""

    kind: Literal["column"]
    column: str = Field(min_length=1)


class GroupSplit(Fractions):
    """All rows with the same value in `column` (a customer, a document) share a part."""

    kind: Literal["group"]
    column: str = Field(min_length=1)


class TimeSplit(Fractions):
    """Sorted by `column`: the oldest rows train, the newest test."""

    kind: Literal["time"]
    column: str = Field(min_length=1)


Split = Annotated[RandomSplit | ColumnSplit | GroupSplit | TimeSplit, Field(discriminator="kind")]


class EarlyStopping(Strict):
    """Stop when the validation score has not improved for `patience` evaluations."""

    patience: int = Field(default=3, ge=1, le=1000)


class RunSpec(Strict):
    """One fine-tuning run."""

    dataset: str = Field(description="id of a data set", pattern=r"^[a-z0-9]{12}$")
    dataset_version: int | None = Field(default=None, ge=1, le=10**9, description="null: the newest")
    task: TaskName
    columns: dict[str, str] = Field(
        description='role → column of the file, as {"text": "review", "label": "stars"}'
    )
    model: str = Field(
        default="starter",
        min_length=1,
        max_length=300,
        description='"starter", "hub:ID" or "local:NAME"',
    )
    strategy: Full = Full()
    split: Split = RandomSplit()
    epochs: int | None = Field(default=None, ge=1, le=1000, description="null: by training rows")
    batch_size: int | None = Field(default=None, ge=1, le=4096, description="null: by family")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="null: by family")
    max_length: int | None = Field(
        default=None, ge=4, le=131072, description="tokens; null: 128, or less if the model reads less"
    )
    seed: int = Field(default=1, ge=0, lt=2**31)
    name: str | None = Field(default=None, max_length=200, description="null: data set and model")
    warmup_ratio: float | None = Field(default=None, ge=0, le=1, description="null: by family")
    weight_decay: float | None = Field(default=None, ge=0, le=1, description="null: by family")
    max_grad_norm: float = Field(default=1.0, gt=0)
    accumulation: int = Field(default=1, ge=1, le=1024, description="micro-batches an optimiser step")
    eval_steps: int | None = Field(
        default=None, ge=1, description="evaluate every so many steps; null: at the end of each epoch"
    )
    early_stopping: EarlyStopping | None = None
    class_weights: Literal["balanced"] | None = Field(
        default=None, description="balanced: each class weighs the same in the loss"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


def parse_spec(value: Any) -> RunSpec:
    """A spec out of JSON. Raises Invalid with every fault, each under the field's name."""
    try:
        return RunSpec.model_validate(value)
    except ValidationError as error:
        raise Invalid.from_problems("The run can't start", problems_of(error)) from error


def problems_of(error: ValidationError) -> list[Problem]:
    """Pydantic's faults in our words."""
    problems: list[Problem] = []
    for fault in error.errors():
        where = ".".join(
            str(part) for part in fault["loc"] if part not in ("random", "column", "group", "time")
        )
        if fault["type"] == "extra_forbidden":
            message = f"there is no field {where!r}; remove it or check its spelling"
        elif fault["type"] == "missing":
            message = "is required"
        elif fault["type"] in ("literal_error", "union_tag_invalid"):
            expected = fault.get("ctx", {}).get("expected", fault.get("ctx", {}).get("expected_tags"))
            message = f"is {fault['input']!r}; it must be one of {expected}"
            if fault["type"] == "union_tag_invalid":
                message = f"its kind must be one of {expected}"
        elif fault["type"] in ("int_parsing", "int_type", "int_from_float"):
            message = f"must be a whole number (got {str(fault['input'])[:80]!r})"
        elif fault["type"] in ("float_parsing", "float_type"):
            message = f"must be a number (got {str(fault['input'])[:80]!r})"
        elif fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
            message = f"must be a JSON object (got {str(fault['input'])[:80]!r})"
        elif where == "dataset":
            message = f"{fault['input']!r} is no data set's id (12 characters of a-z and 0-9)"
        else:
            text = re.sub(r"^(Input|Value error,) ?", "", fault["msg"])
            message = f"{text[:1].lower()}{text[1:]} (got {str(fault['input'])[:80]!r})"
        problems.append({"where": where or "spec", "message": message})
    return problems
