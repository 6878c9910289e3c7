"""The run spec: what a user asks for. Part of the public interface; its JSON schema is in the OpenAPI page.

Unknown fields are refused by name, and every fault is reported at once. Fields whose default depends on
the model or on the data are None here and filled in by app.launch, so that a stored spec is complete.
"""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from app.core.errors import Invalid, Problem
from app.core.strategies import Full, Head, Strategy
from app.core.strict import Strict

PART_COLUMN = "split"  # says which of several files a row came with


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


class FilesSplit(Strict):
    """Each row is in the part of the file it came with; for data that was uploaded as train and test, perhaps validation."""

    kind: Literal["files"] = "files"

    @property
    def column(self) -> str:
        """The column that reading such files adds."""
        return PART_COLUMN


Split = Annotated[
    RandomSplit | ColumnSplit | GroupSplit | TimeSplit | FilesSplit, Field(discriminator="kind")
]


class EarlyStopping(Strict):
    """Stop when the validation score has not improved for `patience` evaluations."""

    patience: int = Field(default=3, ge=1, le=1000)


class RunSpec(Strict):
    """One fine-tuning run."""

    dataset: str = Field(description="id of a data set", pattern=r"^[a-z0-9]{12}$")
    dataset_version: int | None = Field(default=None, ge=1, le=10**9, description="null: the newest")
    task: str = Field(
        pattern=r"^[a-z0-9_]{1,40}$", description="a name of app.tasks; their list is in this schema"
    )
    columns: dict[str, str | Annotated[list[str], Field(min_length=1, max_length=1000)]] = Field(
        description='role → column of the file, as {"text": "review", "label": "stars"}; for multilabel the label '
        "may be a list of columns of 0 and 1"
    )
    model: str = Field(
        default="starter",
        min_length=1,
        max_length=300,
        description='"starter", "hub:ID", "local:NAME" or "run:ID" (a finished run)',
    )
    strategy: Strategy = Full()
    split: Split = RandomSplit()
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="null: by training rows; of a head that is fitted to convergence there are none",
    )
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
    checkpoint_seconds: float | None = Field(
        default=None,
        ge=0,
        le=86_400,
        description="seconds between two checkpoints in mid-run, 0: after each step; null: a minute, or more where writing one is slow",
    )
    class_weights: Literal["balanced"] | None = Field(
        default=None, description="balanced: each class weighs the same in the loss"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    focal_gamma: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="focal loss with this exponent: easy rows count less (Lin et al. 2017 take 2); null: cross-entropy",
    )
    truncation: Literal["end", "head_tail", "windows"] = Field(
        default="end",
        description="what a text longer than max_length loses: its end; its middle; or nothing, being read in "
        "overlapping windows whose logits are averaged",
    )
    pooling: Literal["own", "cls", "mean"] | None = Field(
        default=None,
        description="what a frozen trunk's fitted head reads of a text (strategy head): what the family's own head reads, its "
        "first token (of a decoder: its last), or the mean of its tokens; null: the best of those that the model's class can express",
    )
    source_language: str | None = Field(
        default=None, max_length=40, description="a language code of the model, where it has them"
    )
    target_language: str | None = Field(default=None, max_length=40)
    source_prefix: str | None = Field(
        default=None,
        max_length=200,
        description='put before each source, as T5 wants: "translate English to French: "',
    )
    max_target_length: int | None = Field(
        default=None, ge=4, le=131072, description="tokens of a target; null: as max_length"
    )
    num_beams: int = Field(default=4, ge=1, le=16, description="beam search of text2text")
    max_new_tokens: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="of a text it writes; null: max_target_length for text2text, 64 for generation",
    )
    whole_word_masking: bool = Field(default=False, description="mask all pieces of a word together")
    mask_probability: float = Field(
        default=0.15, gt=0, lt=1, description="share of the tokens that is masked"
    )
    replay: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="against forgetting: share of the training rows that the model writes itself before it learns; 0: none",
    )

    @model_validator(mode="before")
    @classmethod
    def _pooling_beside_the_strategy(cls, value: Any) -> Any:
        """{"strategy": {"kind": "head", "pooling": "mean"}} says the same as the field of that name."""
        strategy = value.get("strategy") if isinstance(value, dict) else None
        if not isinstance(strategy, dict) or "pooling" not in strategy or value.get("pooling"):
            return value
        rest = {name: field for name, field in strategy.items() if name != "pooling"}
        return {**value, "strategy": rest, "pooling": strategy["pooling"]}

    @property
    def converges(self) -> bool:
        """Whether a head is fitted to its optimum instead of trained for epochs."""
        return (
            isinstance(self.strategy, Head)
            and (self.strategy.fit or ("epochs" if self.epochs else "converge")) == "converge"
        )


# Fields that only some tasks know (app.tasks.base.Task.options); elsewhere another value than the default is refused.
OPTIONS = (
    "class_weights",
    "label_smoothing",
    "focal_gamma",
    "truncation",
    "pooling",
    "source_language",
    "target_language",
    "source_prefix",
    "max_target_length",
    "num_beams",
    "max_new_tokens",
    "whole_word_masking",
    "mask_probability",
    "replay",
)


# Pydantic names the alternative of a union as well: strategy.lora.rank.
_KINDS = {
    get_args(member.model_fields["kind"].annotation)[0]
    for union in (Split, Strategy)
    for member in get_args(get_args(union)[0])
}


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
            str(part) for place, part in enumerate(fault["loc"]) if not (place == 1 and part in _KINDS)
        )
        if fault["type"] == "extra_forbidden":
            message = f"there is no field {where!r}; remove it or check its spelling"
        elif fault["type"] == "missing":
            message = "is required"
        elif fault["type"] in ("literal_error", "union_tag_invalid"):
            expected = fault.get("ctx", {}).get("expected", fault.get("ctx", {}).get("expected_tags"))
            one_of = "one of " if " or " in str(expected) else ""
            message = f"is {fault['input']!r}; it must be {one_of}{expected}"
            if fault["type"] == "union_tag_invalid":
                message = f"its kind must be one of {expected}"
        elif fault["type"] in ("int_parsing", "int_type", "int_from_float"):
            message = f"must be a whole number (got {str(fault['input'])[:80]!r})"
        elif fault["type"] in ("float_parsing", "float_type"):
            message = f"must be a number (got {str(fault['input'])[:80]!r})"
        elif fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
            message = f"must be a JSON object (got {str(fault['input'])[:80]!r})"
        elif fault["type"] == "string_too_short" and not fault["input"]:
            message = "is empty: choose one" if where in ("dataset", "model") else "is empty"
        elif where == "task":
            message = f"{str(fault['input'])[:80]!r} is no task's name, as classification or tagging are"
        elif where == "dataset":
            message = "is empty: choose one"
            if fault["input"]:
                message = f"{fault['input']!r} is no data set's id (12 characters of a-z and 0-9)"
        else:
            text = re.sub(r"^(Input|Value error,) ?", "", fault["msg"])
            message = f"{text[:1].lower()}{text[1:]} (got {str(fault['input'])[:80]!r})"
        problems.append({"where": where or "spec", "message": message})
    return problems
