"""What a task is: the torch-free half. Each task has a file here and a line in the registry.

It says which columns it reads, what makes its data unfit, by which figures it is judged, what the form offers, how
an input and an answer look. The half with torch (`Task.torch`) is in worker/tasks/; the two agree between
themselves on what `values` of the examples and `results` hold.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from app.core.errors import Invalid, Problem
from app.core.spec import RunSpec
from app.models.info import ModelInfo
from app.tasks.examples import Examples, Reading

Architecture = Literal["encoder", "decoder", "seq2seq"]


@dataclass(frozen=True)
class Role:
    """A column that a task reads. `many`: a list of columns is possible too. `hint`: for the form."""

    name: str
    hint: str = ""
    many: bool = False


@dataclass(frozen=True)
class Metric:
    """A figure of the results. `lower`: the lower the better. `top`: the best value there can be, None if none."""

    name: str
    title: str
    lower: bool = False
    top: float | None = 1.0


class Task(ABC):
    """A kind of learning.

    `inputs`: the columns that a spec names, as alternatives, the usual one first. `judged_by`: the figures of the results, the headline first.
    `primary`: the score of the validation part that chooses the best weights (a metric, or "loss").
    `curves`: what the page draws of validation/NAME beside the loss. `options`: the fields of a spec that mean
    something for this task beside those that all have (see app.core.spec.OPTIONS). `architectures`: of the models it works with.
    `torch`: "module:Class" under worker/tasks/. `needs`: what a model must be able to do, one of app.models.families.tasks_for's
    names ("" : the task's own). `baselines`: (name, title), the strongest first.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    torch: ClassVar[str]
    needs: ClassVar[str] = ""
    inputs: ClassVar[tuple[tuple[Role, ...], ...]]
    architectures: ClassVar[tuple[Architecture, ...]] = ("encoder", "decoder")
    judged_by: ClassVar[tuple[Metric, ...]]
    primary: ClassVar[str]
    curves: ClassVar[tuple[Metric, ...]]
    options: ClassVar[tuple[str, ...]] = ()
    baselines: ClassVar[tuple[tuple[str, str], ...]] = ()
    pipeline: ClassVar[str]  # transformers' name of the task, for the model card
    predicts: ClassVar[bool] = True  # whether a finished run answers inputs
    # Whether the model gets a head of the task's own; else it keeps that of its pre-training, the vocabulary's.
    own_head: ClassVar[bool] = True
    # How many of a few labels a row has, or that it is a number or entities: where it has any, wrong ones can be looked for.
    labels_a_row: ClassVar[Literal["none", "one", "several", "number", "entities"]] = "none"
    takes_tokens: ClassVar[bool] = (
        False  # whether an input may be a list of tokens: a file may have one a row
    )

    @property
    def primary_is_lower(self) -> bool:
        """Whether a lower `primary` is better."""
        found = (one for one in (*self.curves, *self.judged_by) if one.name == self.primary)
        return self.primary == "loss" or any(one.lower for one in found)

    @property
    def ability(self) -> str:
        """What a model must be able to do."""
        return self.needs or self.name

    def fits(self, model: ModelInfo) -> bool:
        """Whether a model can be used for this task."""
        return self.ability in model.tasks

    # -- the data -------------------------------------------------------------------------------------------

    def roles(self, columns: Mapping[str, Any]) -> tuple[Role, ...]:
        """The alternative of `inputs` that the columns of a spec come nearest to."""
        return max(self.inputs, key=lambda roles: sum(role.name in columns for role in roles))

    def read(self, cells: Callable[[str], list[str]], spec: RunSpec, where: Callable[[int], str]) -> Reading:
        """The values of each role out of the file's cells, row by row.

        `cells(column)`: the column's cells, "" where empty. `where(row)`: "line 17", for messages. Here: strings, those of
        "label" stripped; a row with an empty cell is left out. Raises Invalid for what can't be read, each fault with its line.
        """
        values: dict[str, list[Any]] = {}
        for role in self.roles(spec.columns):
            column = cells(column_of(spec, role.name))
            values[role.name] = [cell.strip() for cell in column] if role.name == "label" else column
        return Reading(values, empty_cells(values))

    def same(self, spec: RunSpec) -> list[str]:
        """The columns whose texts make two rows the same for the split: such rows share a part."""
        return [column_of(spec, role.name) for role in self.roles(spec.columns) if role.name != "label"]

    def stratum(self, spec: RunSpec) -> str | None:
        """The column of which each part of a random split gets the same share; None: there is none."""
        return None

    def steps_known(self, spec: RunSpec) -> bool:
        """Whether the training counts the rows of the data, so that its steps are known beforehand. Windows of long texts
        and packed blocks are counted only once the texts are tokens."""
        return spec.truncation != "windows"

    def defaults(self, spec: RunSpec, model: ModelInfo) -> dict[str, Any]:
        """Fields of the spec that are null and must not be: field → value for this model."""
        return {}

    @abstractmethod
    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        """What makes `examples` (of all parts, empty rows left out) unfit; all of it at once."""

    def check_model(self, spec: RunSpec, model: ModelInfo) -> list[Problem]:
        """What of the spec doesn't fit a model that can do this task (a language that it has not)."""
        return []

    def check_strategy(self, spec: RunSpec) -> list[Problem]:
        """What of the strategy doesn't fit the task."""
        if spec.pooling is not None and not spec.converges:
            where = 'is for a head that is fitted ({"kind": "head", "fit": "converge"}); leave it out'
            return [{"where": "pooling", "message": where}]
        if self.own_head:
            return []
        why = f"the head of {self.name} is the whole vocabulary, and mostly the embeddings again; choose partial or lora"
        if spec.strategy.kind == "head":
            return [{"where": "strategy.kind", "message": f"can't be head: {why}"}]
        if getattr(spec.strategy, "head_first", False):
            return [{"where": "strategy.head_first", "message": f"can't be on: {why}"}]
        return []

    def labels(self, examples: Examples) -> list[str]:
        """The classes, ordered by code point: position = class index of the model. [] for a task without."""
        return []

    # -- words for pages and the model card -----------------------------------------------------------------

    def goal(self, labels: list[str]) -> str:
        """What the model was fine-tuned for, to go on after "fine-tuned "."""
        return f"for {self.title.lower()}"

    def describe(self, labels: list[str]) -> str:
        """The task of this run in a few words: "classification, 3 classes"."""
        return f"{self.name}, {len(labels)} classes" if labels else self.name

    @abstractmethod
    def usage(self, spec: RunSpec, folder: str) -> str:
        """Python lines that load `folder` in plain transformers and use it."""

    def pipeline_of(self, spec: RunSpec, family: str) -> str:
        """`pipeline` of a model of this family (config.json's model_type)."""
        return self.pipeline

    def card_usage(self, spec: RunSpec, folder: str, family: str) -> str:
        """`usage` where the family of the model is known."""
        return self.usage(spec, folder)

    # -- answers --------------------------------------------------------------------------------------------

    def input_roles(self, spec: RunSpec) -> tuple[Role, ...]:
        """The columns that a file needs to be predicted."""
        return tuple(role for role in self.roles(spec.columns) if role.name != "label")

    def make_input(self, cells: Mapping[str, str]) -> Any:
        """The input of predict out of a row's cells, by role: a string where there is one role."""
        return dict(cells) if len(cells) > 1 else next(iter(cells.values()))

    def wrong_input(self, value: Any, spec: RunSpec) -> str | None:
        """What is wrong with an input of predict; None if nothing."""
        return None if isinstance(value, str) else f"must be a text, not {type(value).__name__}"

    @abstractmethod
    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        """An answer as cells of a table: column → text or number; the same columns for every answer of a run."""

    def token_cells(self, output: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer to a list of tokens as cells beside each token, where the task `takes_tokens`."""
        raise NotImplementedError


@dataclass
class Kept:
    """Faults of single rows, collected until there are enough of them to tell. `where`: as of Task.read; the line costs a
    look into the file, so only the faults that are shown have one."""

    where: Callable[[int], str]
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    most: int = 20

    def add(self, row: int, message: str) -> None:
        self.count += 1
        if len(self.problems) < self.most:
            self.problems.append({"where": self.where(row), "message": message})

    def raise_any(self) -> None:
        """Raises Invalid if there are any."""
        if self.count > len(self.problems):
            more = f"and {self.count - len(self.problems):,} more rows like these"
            self.problems.append({"where": "", "message": more})
        if self.problems:
            raise Invalid.from_problems("The data can't be used", self.problems)


def column_of(spec: RunSpec, role: str) -> str:
    """The one column of a role. A list of columns is the business of the task that allows it."""
    column = spec.columns[role]
    assert isinstance(column, str)
    return column


def empty_cells(values: Mapping[str, Sequence[Any]]) -> list[str | None]:
    """For each row the first role without a value, as "empty ROLE"; None where all are filled."""
    return [
        next((f"empty {role}" for role, value in zip(values, row, strict=True) if _blank(value)), None)
        for row in zip(*values.values(), strict=True)
    ]


def unseen(examples: Examples, labels_of: Callable[[int], Sequence[str]]) -> list[Problem]:
    """Labels that validation or test rows have and no training row: nothing could learn them.

    `labels_of(row)`: the labels of a row of `examples`.
    """
    known: set[str] = set()
    later: Counter[str] = Counter()
    for row, part in enumerate(examples.parts):
        if part == "train":
            known.update(labels_of(row))
        else:
            later.update(set(labels_of(row)))
    missing = sorted(label for label in later if label not in known)
    if not missing:
        return []
    shown = ", ".join(f"{label!r} ({later[label]:,} rows)" for label in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    message = (
        f"no training row has {shown}{more}, but validation or test rows do; "
        "give the training part rows of each label, or choose another split"
    )
    return [{"where": "split", "message": message}]


def _blank(value: Any) -> bool:
    return not value or (isinstance(value, str) and not value.strip())
