"""From a spec as it was sent to a queued run: check everything, fill in the defaults, store it, wake a worker."""

import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from app.checks import (
    WHAT,
    block_problems,
    check_roles,
    epoch_problems,
    length_problems,
    model_problems,
    option_problems,
    part_problems,
    step_problems,
)
from app.core import runs
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, Invalid, NotFound, Problem
from app.core.files import Files, new_id
from app.core.spec import FilesSplit, RunSpec, parse_spec
from app.core.tables import Dataset
from app.datasets import journal
from app.models.catalog import ModelCatalog
from app.models.defaults import defaults_for, steps_of
from app.models.finished import folder_sha256
from app.models.info import ModelInfo
from app.tasks import task
from app.tasks.base import Task
from app.tasks.examples import Examples, load_examples, part_sizes

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore

logger = logging.getLogger(__name__)

FITTING_STEPS = 400  # iterations of L-BFGS at most, as worker.transfer.path has them
# Best weights, the model folder, its zip, and room for what is being written.
COPIES = 4


@dataclass(frozen=True)
class Prepared:
    """A run that can start. `rows`: by part; `steps`: optimiser steps (a first guess where the task's steps aren't known); `why`: a sentence for each default
    that was filled in; `dropped`: rows left out by reason; `labels`: the classes in their order."""

    spec: RunSpec
    model: ModelInfo
    rows: dict[str, int]
    steps: int
    labels: list[str]
    why: dict[str, str]
    dropped: dict[str, int]

    @property
    def classes(self) -> int:
        return len(self.labels)


class Launcher:
    """`enqueue(run_id)` wakes a worker; it may fail, since the reconciler queues every stored run again."""

    def __init__(
        self,
        database: Database,
        files: Files,
        datasets: "DatasetStore",
        models: ModelCatalog,
        clock: Clock = time.time,
        *,
        enqueue: Callable[[str], None],
    ) -> None:
        self._database = database
        self._files = files
        self._datasets = datasets
        self._models = models
        self._enqueue = enqueue
        self._clock = clock

    def complete(self, spec: RunSpec) -> RunSpec:
        """The spec with its defaults filled in. Raises what `prepare` raises."""
        return self.prepare(spec).spec

    def launch(self, value: Any, corrects: str | None = None) -> str:
        """Stores a queued run and wakes a worker; returns the run's id. `corrects`: the run that it repeats on corrected data.
        Raises what `prepare` raises."""
        prepared = self.prepare(value)
        spec = prepared.spec
        run_id = new_id()
        parent = self._pin(prepared.model)
        with self._database.write() as session:
            # Again, in the transaction that stores the run: data set or parent may have been deleted meanwhile.
            version = runs.version_of(session, spec.dataset, spec.dataset_version)
            if parent is not None:
                runs.get(session, parent[0])
            runs.create(
                session, run_id, spec, version.sha256, self._clock(), prepared.steps, parent, corrects
            )
        self.wake(run_id)
        return run_id

    def clone(self, run_id: str, changes: Mapping[str, Any]) -> str:
        """Launches a run with the spec of another one, but for `changes`; returns its id. Raises what `launch` raises."""
        with self._database.read() as session:
            run = runs.get(session, run_id)
            taken = {one.name for one in runs.listed(session, 10**6)}
        return self.launch({**run.spec, "name": another_name(run.name, taken), **changes})

    def again(self, run_id: str) -> str:
        """Launches a run with the spec of another one on the current version of its data; returns its id.

        Raises Conflict if that is the version it was trained on, and what `launch` raises.
        """
        with self._database.read() as session:
            run = runs.get(session, run_id)
            now = runs.version_of(session, run.dataset_id, None)
            taken = {one.name for one in runs.listed(session, 10**6)}
        if now.sha256 == run.dataset_sha256:
            raise Conflict(
                f"The data is what this run was trained on (version {now.version}): correct labels first, or clone the run."
            )
        settled = {"name": another_name(run.name, taken), "dataset_version": now.version}
        return self.launch({**run.spec, **settled}, corrects=run_id)

    def wake(self, run_id: str) -> None:
        """Tells a worker that this run is queued. If the queue doesn't answer, the reconciler will."""
        try:
            self._enqueue(run_id)
        except Exception:
            logger.warning("run %s is stored, but the queue did not answer; it will be queued again", run_id)

    def prepare(self, value: Any) -> Prepared:
        """Checks a spec (JSON or RunSpec) against its data and its model, without side effects on either.

        Raises Invalid with every problem (kind "model" when the model is all that is wrong), Conflict while the data
        set is being read, NoSpace.
        """
        spec, problems = _parse(value)
        examples: Examples | None = None
        model: ModelInfo | None = None
        kinds = ["invalid"] * len(problems)

        def collect(where: str, error: Invalid | NotFound) -> None:
            found = error.problems or [{"where": where, "message": error.message}]
            problems.extend(found)
            kinds.extend([error.kind if where == "model" else "invalid"] * len(found))

        dataset_name = ""
        chosen: Task | None = None
        if spec is not None:
            try:
                chosen = task(spec.task)
            except Invalid as error:
                collect("task", error)
            try:
                # What stands in the spec instead of a faulty model is the default, which nobody asked for.
                asked = all(problem["where"] != "model" for problem in problems)
                model = self._models.find(spec.model) if asked else None
            except Invalid as error:
                collect("model", error)
            try:
                spec, dataset_name = self._pinned(spec)
                if chosen is not None:
                    check_roles(spec, chosen)
                    examples = load_examples(self._datasets, self._files, spec)
            except Invalid as error:
                collect("columns", error)
            except NotFound as error:
                collect("dataset", error)
            if model is not None and chosen is not None:
                problems.extend(model_problems(spec, model, chosen))
            if model is not None:
                problems.extend(length_problems(spec, model))
                problems.extend(block_problems(spec, model))
            problems.extend(epoch_problems(spec))
            if chosen is not None:
                problems.extend(option_problems(spec, chosen))
                problems.extend(chosen.check_strategy(spec))
            if examples is not None and chosen is not None:
                problems.extend(part_problems(examples) or chosen.check(examples, spec))
        prepared = None
        if spec is not None and examples is not None and model is not None and len(examples.part("train")):
            prepared = _completed(spec, model, examples, dataset_name)
            problems.extend(step_problems(prepared.spec, prepared.steps))
        if problems:
            one = len(set(kinds)) == 1 and len(kinds) == len(problems)
            raise Invalid.from_problems(WHAT, problems, kinds[0] if one else None)
        assert prepared is not None
        self._files.require_free(COPIES * prepared.model.float32_bytes, "the run's weights and its download")
        return prepared

    def _pin(self, model: ModelInfo) -> tuple[str, str] | None:
        """The run that the model is of, and the SHA-256 of its weights now; None for a model of no run."""
        if model.kind != "run":
            return None
        assert model.path is not None
        return model.id.removeprefix("run:"), folder_sha256(model.path)

    def _pinned(self, spec: RunSpec) -> tuple[RunSpec, str]:
        """The spec with the version it will use, and the data set's name. Raises NotFound, Conflict; Invalid where the user's
        edits are not saved and no version is named."""
        with self._database.read() as session:
            version = runs.version_of(session, spec.dataset, spec.dataset_version)
            dataset = session.get(Dataset, spec.dataset)
            assert dataset is not None
            if spec.dataset_version is None:
                edits = journal.current(session, self._files, dataset).pending.count
                if edits:
                    message = (
                        f"has {journal.unsaved(edits)}, which a run would not see: save or discard them first"
                    )
                    raise Invalid.from_problems(WHAT, [{"where": "dataset", "message": message}])
        settled: dict[str, Any] = {"dataset_version": version.version}
        if "split" not in spec.model_fields_set and (dataset.options or {}).get("files"):
            settled["split"] = FilesSplit()  # whoever uploads train and test means them
        return spec.model_copy(update=settled), dataset.name


def _parse(value: Any) -> tuple[RunSpec | None, list[Problem]]:
    """The spec and what is wrong with it. Faulty fields are left out of it, so that the others are checked too;
    None when too little is left."""
    try:
        return parse_spec(value), []
    except Invalid as error:
        problems = list(error.problems)
    if not isinstance(value, Mapping):
        return None, problems
    faulty = {problem["where"].split(".")[0] for problem in problems}
    try:
        return parse_spec({name: field for name, field in value.items() if name not in faulty}), problems
    except Invalid:
        return None, problems


def _completed(spec: RunSpec, model: ModelInfo, examples: Examples, dataset_name: str) -> Prepared:
    rows = part_sizes(examples)
    ability = task(spec.task).ability
    defaults = defaults_for(model, rows["train"], spec.batch_size, spec.accumulation, ability, spec.strategy)
    filled = {
        name: getattr(defaults, name)
        for name in defaults.why
        if name in RunSpec.model_fields and getattr(spec, name) is None
    }
    why = {name: defaults.why[name] for name in filled}
    if spec.converges:
        filled.pop("epochs", None)
        why["epochs"] = "none: the head is fitted to its optimum, by L-BFGS"
    if defaults.layer_decay is not None and getattr(spec.strategy, "layer_decay", 1) is None:
        filled["strategy"] = spec.strategy.model_copy(update={"layer_decay": defaults.layer_decay})
        why["layer_decay"] = defaults.why["layer_decay"]
    name = (spec.name or "").strip() or _name(dataset_name, model, spec)
    complete = spec.model_copy(update={**filled, **task(spec.task).defaults(spec, model), "name": name})
    assert complete.batch_size is not None
    return Prepared(
        spec=complete,
        model=model,
        rows=rows,
        steps=FITTING_STEPS
        if complete.epochs is None
        else steps_of(rows["train"], complete.batch_size, complete.accumulation, complete.epochs),
        labels=task(spec.task).labels(examples),
        why=why,
        dropped=examples.dropped,
    )


def another_name(name: str, taken: Collection[str]) -> str:
    """'Reviews' → 'Reviews (2)', or the next number that is free."""
    stem = re.sub(r" \(\d+\)$", "", name)[:190]
    return next(made for number in count(2) if (made := f"{stem} ({number})") not in taken)


def _name(dataset_name: str, model: ModelInfo, spec: RunSpec) -> str:
    """'reviews: MiniLM-L6, full'"""
    stem = dataset_name.rsplit(".", 1)[0] or dataset_name
    return f"{stem[:100]}: {model.title[:80]}, {spec.strategy.kind}"
