"""Fine-tuning from spec to checkpoint, step by step: what a trainer does with one attempt.

read the rows ▸ get the model ▸ encode ▸ train, keeping the best weights ▸ measure on the held-out part, beside
the baselines ▸ export. Reports through the recorder; raises Cancelled as soon as the user's cancel is seen.
"""

import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from app.core import runs
from app.core.archive import zip_folder
from app.core.db import Database
from app.core.errors import Invalid
from app.core.events import PointValue
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.datasets.store import DatasetStore
from app.models.catalog import ModelCatalog
from app.models.finished import FinishedRun, finished_run, folder_sha256
from app.models.hub import fetch
from app.tasks import heldout
from app.tasks import task as task_named
from app.tasks.examples import Examples, load_examples, part_sizes
from worker import plan
from worker.backbone import pick_device
from worker.distributed import ALONE, Meeting
from worker.export import base_of, export_beside, export_model, model_card
from worker.fast import quickened
from worker.footprint import settle
from worker.keeper import Keeper, safe
from worker.loop import Evaluated, Event, Halved, Recipe, Started, Step, Stopped, train
from worker.progress import Progress
from worker.ranks import Ranks
from worker.recorder import Recorder
from worker.tasks import TorchTask, torch_task
from worker.tasks.base import HeadTask, Outcome, Part
from worker.transfer import Plan, make_plan
from worker.transfer.blocks import stack_of
from worker.transfer.cache import Cache
from worker.transfer.drift import Origin
from worker.transfer.fitted import FittedHead
from worker.transfer.frozen import EVERY_EPOCH, computed_once, within
from worker.transfer.head_first import HEAD_ONLY, HeadFirst, head_first, head_of
from worker.transfer.interpolation import Line
from worker.transfer.path import ITERATIONS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Events = Generator[Event, None, None]


class Cancelled(Exception):
    """The user cancelled the run."""


class LaidAside(Exception):
    """The run ends here and goes on later from its checkpoint: the user paused it, or the worker stops."""


class Finetune:
    """One attempt of one run, whatever its task."""

    def __init__(
        self,
        settings: Settings,
        files: Files,
        database: Database,
        recorder: Recorder,
        run_id: str,
        attempt: int,
        spec: RunSpec,
        meeting: Meeting = ALONE,
    ) -> None:
        """`meeting`: with the other processes that train this run."""
        self.settings, self.files, self.database = settings, files, database
        self.recorder, self.run_id, self.attempt, self.spec = recorder, run_id, attempt, spec
        self.store = DatasetStore(database, files)
        self.device, self.meeting = pick_device(), meeting
        self.plan_file = files.run(run_id) / "plan.json"
        self.frozen: dict[str, Any]  # what plan_file holds
        self.best_weights = files.attempt(run_id, attempt) / "best.safetensors"
        self.best: Evaluated | None = None
        self.keeper = Keeper(
            files.run(run_id) / "checkpoints",
            self.best_weights,
            spec.checkpoint_seconds,
            lambda line: recorder.log("warning", line),
        )
        self.stopping = threading.Event()  # set from a signal's handler
        self.keeping = False  # whether checkpoints are being written
        self.advice: str | None = None
        self.learning: dict[str, int] = {}  # how many numbers, of how many
        self.strategy: Plan | None = None
        self.fitted: FittedHead | None = None
        self.first: HeadFirst | None = None
        self.line: Line | None = None
        self.model: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase
        self.task: TorchTask
        self.examples: Examples
        self.rows: dict[str, int]

    def run(self) -> dict[str, Any]:
        """Does it all; returns the columns for the run's end: metrics, baselines, results."""
        recorder = self.recorder
        train_part, validation, test = self._prepare()
        self._train(train_part, validation)
        recorder.progress(phase="testing", eta_seconds=None)
        test = test or self._encode(self.examples.part("test"))
        self._check_cancel()
        outcome = self._measure(train_part, validation, test)
        self._check_cancel()
        if self.fitted is not None:
            outcome.add(self.fitted.compare(validation, test))
        if self.first is not None:
            outcome.add({"head_first": asdict(self.first)})
        cut = [part.truncated for part in (train_part, validation, test)]
        outcome.results.update(truncated=sum(cut), advice=self.advice, drift=self.origin.drift(self.model))
        outcome.results.update(self.learning)
        recorder.progress(phase="exporting")
        self._export(outcome)
        return {
            "metrics": outcome.metrics,
            "baselines": outcome.baselines,
            "results": outcome.results,
            "weights_sha256": folder_sha256(self.files.model(self.run_id)),
        }

    def _measure(self, train_part: Part, validation: Part, test: Part) -> Outcome:
        if self.line is None:
            return self.task.measure(self.model, train_part, validation, test)
        self.recorder.progress(phase="measuring between the head-only and the fine-tuned model")
        task = task_named(self.spec.task)
        return self.line.measure(
            self.task,
            self.tokenizer,
            (train_part, validation, test),
            task.primary,
            task.primary_is_lower,
            lambda: {"drift": self.origin.drift(self.model)},
        )

    def help(self) -> None:
        """What a process that is not the run's first does: the same up to the end of the training, and nothing is saved."""
        train_part, validation, _ = self._prepare()
        self._train(train_part, validation)

    def _prepare(self) -> tuple[Part, Part, Part | None]:
        """Rows and model, encoded: train, validation and, if it has been looked at already, test."""
        spec, recorder = self.spec, self.recorder
        assert spec.max_length is not None and spec.batch_size is not None
        self.frozen, differences = plan.frozen_plan(
            self.plan_file, self.device, spec.batch_size, self.meeting.world
        )
        plan.apply(self.frozen)
        if self.meeting.first and (halved := plan.after_a_kill(self.plan_file)):
            recorder.log("warning", halved)
        if differences:
            recorder.log("warning", f"Not exactly repeatable: {'; '.join(differences)}.")
        recorder.progress(phase="reading")
        self.examples = examples = load_examples(self.store, self.files, spec)
        self.task = torch_task(spec.task)(spec, examples, self.device)
        self.task.tell = lambda _done, _total: self._check_cancel()
        self.rows = part_sizes(examples)
        recorder.log("info", "Rows: {train} train, {validation} validation, {test} test.".format(**self.rows))
        for reason, count in examples.dropped.items():
            recorder.log("warning", f"{count} rows are left out: {reason}.")
        folder = self._folder()
        self._check_cancel()
        self.model, self.tokenizer = self.task.load(folder, self._keep_head())
        self.origin = Origin(self.model, folder)
        recorder.progress(phase="encoding")
        train_part, validation = (
            self._encode(examples.part("train")),
            self._encode(examples.part("validation")),
        )
        test: Part | None = None
        if self.task.looks_before and self.meeting.first:
            test = self._encode(examples.part("test"))
            recorder.progress(phase="measuring the model as it is")
            self.model.to(self.device)  # type: ignore[arg-type]
            self.task.before(self.model, validation, test)
            self._check_cancel()
        return train_part, validation, test

    def keep_best(self) -> bool:
        """After a cancel: exports the best weights so far; False if nothing was evaluated yet."""
        if self.best is None:
            return False
        self._load_best()
        self._export(None)
        return True

    def _folder(self) -> Path:
        """The folder of the model to begin with. Raises Invalid of kind "model"."""
        # The launcher has asked the hub; a later attempt must start without a network when the model is cached.
        info = ModelCatalog(self.settings, find_run=self._parent).find(self.spec.model, ask_hub=False)
        folder = fetch(info, lambda line: self.recorder.log("info", line), offline=self.settings.offline)
        with self.database.read() as session:
            pinned = runs.get(session, self.run_id).parent_sha256
        if pinned is not None and folder_sha256(folder) != pinned:
            raise Invalid(
                f"The weights of {self.spec.model} are not those that this run was started with. Start a new run.",
                kind="model",
            )
        return folder

    def _parent(self, run_id: str) -> FinishedRun | None:
        return finished_run(self.database, self.files, run_id)

    def _keep_head(self) -> bool:
        """Whether the head of the model may be kept: not that of a run with another task."""
        kind, _, name = self.spec.model.partition(":")
        parent = self._parent(name) if kind == "run" else None
        if parent is None:
            return True
        if self.task.pretrained_head:
            self.recorder.log("info", f"The model is that of the run {parent.name!r} ({parent.task}).")
            return True
        same = parent.task == self.spec.task and parent.labels == self.task.head()
        same = same and not (parent.fitted and not self.spec.converges)
        what = "its head is kept" if same else "its head is replaced by a new one, drawn from the seed"
        self.recorder.log("info", f"The model is that of the run {parent.name!r} ({parent.task}); {what}.")
        return same

    def _encode(self, examples: Examples) -> Part:
        part = self.task.encode(self.tokenizer, examples, lambda _done, _total: self._check_cancel())
        if cut := part.truncated:
            what = "their middle" if self.spec.truncation == "head_tail" else self.task.loses
            self.recorder.log(
                "warning",
                f"{cut} of {len(examples)} texts are longer than {self.spec.max_length} tokens and lose {what}.",
            )
        return part

    def _train(self, train_part: Part, validation: Part) -> None:
        self.recorder.progress(phase="training")
        self.kept: dict[str, Any] | None = None
        ranks = self.meeting.join()
        events, due = (
            self._fitting(train_part, validation)
            if self.spec.converges
            else self._learning(train_part, validation, ranks)
        )
        progress = Progress(self.recorder, due)
        self._go_on(progress, ranks)
        self.keeping = self.strategy is not None
        for event in events:
            match event:
                case Started():
                    self.recorder.progress(phase="training")
                    progress.started(event)
                    self.learning = {"trainable": event.trainable, "parameters": event.parameters}
                case Halved():
                    progress.halved(event)
                    if ranks.first:
                        plan.note(self.plan_file, micro_batch=event.micro_batch)
                case Step():
                    progress.step(event)
                case Evaluated():
                    if event.best and ranks.first:
                        self._save_best(event)
                    progress.evaluated(event)
                    if ranks.first and (samples := self.task.samples(self.model, validation)):
                        self.recorder.samples(event.step, event.epoch, samples)
                case Stopped():
                    progress.stopped(event)
                    if self.spec.converges:  # how many steps it takes is known only now
                        self.recorder.progress(steps=event.step)
            if ranks.first and self.strategy is not None and safe(event):
                self._keep(progress)
            if self.recorder.cancelled.is_set():
                events.close()
                raise Cancelled
            if self.recorder.lost.is_set():
                events.close()
                self.recorder.flush()  # raises LostRun
        self.keeping = False
        self._load_best()
        if progress.loss is not None and not self.spec.converges:  # an optimum needs no advice
            best = self.best.scores if self.best else {}
            self.advice = self.task.advice(progress.loss, train_part, best)
        if self.advice:
            self.recorder.log("warning", self.advice)

    def _go_on(self, progress: Progress, ranks: Ranks) -> None:
        """Tells a later attempt's beginning: the curves end where its checkpoint was written."""
        if self.attempt == 1 or not ranks.first:
            return
        step, kept = self.keeper.place.step, self.kept or {}
        progress.loss = kept.get("loss")
        if best := kept.get("best"):
            self.best = Evaluated(**best, best=True, seconds=0.0, time=time.time())
        self.recorder.flush()
        self.recorder.go_on(step, kept.get("epoch", 0.0), best["step"] if best else None)
        self.recorder.points(*(PointValue(*point) for point in kept.get("points", ())))
        where = f"goes on behind step {step}" if step else "begins again: there was no checkpoint yet"
        self.recorder.log("info", f"Attempt {self.attempt} {where}.")

    def _keep(self, progress: Progress) -> None:
        """Writes a checkpoint if it is time for one. Raises LaidAside if the run is to end with it."""
        leave = self.stopping.is_set() or self.recorder.paused.is_set()
        if not leave and not self.keeper.due():
            return
        best = self.best and {"step": self.best.step, "epoch": self.best.epoch, "scores": self.best.scores}
        points = [(one.series, one.step, one.value, one.time) for one in self.recorder.unwritten()]
        if self.keeper.save({"loss": progress.loss, "epoch": progress.epoch, "best": best, "points": points}):
            # Whatever went wrong before has been got over: it counts no more.
            self.recorder.progress(checkpoint_step=self.keeper.place.step, failures=0)
        if leave:
            raise LaidAside

    def _learning(self, train_part: Part, validation: Part, ranks: Ranks) -> tuple[Events, int]:
        """The loop's events, and the steps between two evaluations."""
        recipe, task = self._recipe(), task_named(self.spec.task)
        objective = self.task.objective(self.model, train_part)
        if getattr(self.spec.strategy, "head_first", False) and ranks.first:  # the others get its weights
            self._fit_head_first(objective, train_part, validation)
        self.strategy = make_plan(self.model, self.spec.strategy, recipe.weight_decay, self.spec.seed)
        if self.task.head_start:
            stack = stack_of(self.model)
            self.strategy = self.strategy.waiting(self.task.head_start, stack.of(stack.top))
        if self.first is not None:
            line = self.files.interpolation(self.run_id)
            self.line = Line(self.model, self.strategy, line.with_name(f"{line.name}.part"))
        most = recipe.batch_size, int(objective.lengths.max(initial=1))
        rows = settle(self.plan_file, self.model, self.strategy, most, self.device, ranks, self._say)
        recipe = replace(recipe, micro_batch=rows)
        self.kept = self.keeper.begin(self.strategy.groups, ranks.first)
        steps_an_epoch = -(-len(objective.lengths) // (recipe.batch_size * recipe.accumulation))
        events = train(
            self.model,
            objective,
            recipe,
            self.strategy,
            lambda model: self.task.judge(model, validation),
            task.primary,
            self.device,
            lower=task.primary_is_lower,
            ranks=ranks,
            place=self.keeper.place,
        )
        self.model.to(self.device)  # type: ignore[arg-type]
        events = within(self._computed_once(self.strategy, train_part, validation), events)
        events = within(quickened(self.model), events)
        return events, recipe.eval_steps or steps_an_epoch

    @contextmanager
    def _computed_once(self, strategy: Plan, *parts: Part) -> Iterator[None]:
        """Inside, what `strategy` leaves frozen is computed once for the rows of `parts`; in a later attempt only if the
        first had the room for it, so that both compute the same."""
        noted = self.frozen.get("frozen_part")
        frozen = strategy.frozen if self.task.rereads and noted != EVERY_EPOCH else ()
        encoded = [part.encoded for part in parts]
        cache = Cache(self.files.frozen_outputs, self.settings.cache_bytes)
        told = self._say, self._tell_frozen
        with computed_once(self.model, frozen, encoded, self.device, cache, *told) as how:
            if noted is not None and how not in (noted, None):
                self.recorder.log(
                    "warning", f"Not exactly repeatable: the frozen part was {noted} and is {how}."
                )
            elif how is not None and self.meeting.first:
                plan.note(self.plan_file, frozen_part=how)
            yield

    def _tell_frozen(self, done: int, total: int) -> None:
        self._check_cancel()
        # In steps of 5 %: each change is an event that stays in the database.
        self.recorder.progress(phase=f"computing the frozen part, {20 * done // total * 5} %")

    def _fitting(self, train_part: Part, validation: Part) -> tuple[Events, int]:
        """The same of a head that is fitted instead."""
        assert isinstance(self.task, HeadTask)
        self.recorder.progress(phase="reading the texts with the frozen model")
        self.fitted = FittedHead(self.model, self.task, self.spec.pooling, self.device, self._say)
        task = task_named(self.spec.task)
        objective: Any = self.task.objective(self.model, train_part)
        return self.fitted.events(
            objective, train_part, validation, task.primary, task.primary_is_lower
        ), ITERATIONS

    def _fit_head_first(self, objective: Any, train_part: Part, validation: Part) -> None:
        assert isinstance(self.task, HeadTask)
        self.recorder.progress(phase="fitting the head first")
        test = self.task.encode(self.tokenizer, self.examples.part("test"), self.task.tell)
        task = task_named(self.spec.task)
        parts = train_part, validation, test
        self.first = head_first(
            self.model, self.task, objective, parts, task.primary, task.primary_is_lower, self.device
        )
        save_file(head_of(self.model), self.files.attempt(self.run_id, self.attempt) / HEAD_ONLY)
        found = ", ".join(f"{name} {value:.4f}" for name, value in self.first.metrics.items())
        self._say(
            f"The head was fitted first, on the frozen model, in {self.first.iterations} iterations and {self.first.seconds:.1f} s: "
            f"{found} on the held-out part. Now the rest learns too."
        )
        self.recorder.progress(phase="training")

    def _say(self, line: str) -> None:
        self.recorder.log("info", line)

    def _recipe(self) -> Recipe:
        spec = self.spec
        assert spec.epochs and spec.batch_size and spec.learning_rate
        assert spec.warmup_ratio is not None and spec.weight_decay is not None
        return Recipe(
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            accumulation=spec.accumulation,
            learning_rate=spec.learning_rate,
            warmup_ratio=spec.warmup_ratio,
            weight_decay=spec.weight_decay,
            max_grad_norm=spec.max_grad_norm,
            eval_steps=spec.eval_steps,
            patience=spec.early_stopping.patience if spec.early_stopping else None,
            seed=spec.seed,
        )

    def _save_best(self, event: Evaluated) -> None:
        part = self.best_weights.with_suffix(".part")
        state = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        if self.fitted is not None:
            state = {name: state[name] for name in self.fitted.learned}
        elif self.strategy is not None:  # what is frozen is in memory as it was
            state = {name: state[name] for group in self.strategy.groups for name in group.names}
        save_file(_without_aliases(state), part)
        os.replace(part, self.best_weights)
        self.best = event

    def _load_best(self) -> None:
        if self.best is not None:
            self.model.load_state_dict(load_file(self.best_weights), strict=False)
            self.model.tie_weights()
        if self.strategy is not None and self.strategy.finish is not None:
            self.strategy.finish()

    def _export(self, outcome: Outcome | None) -> None:
        """Model folder and zip. `outcome` None: the run was cancelled before it was measured."""
        self.recorder.flush()  # the fence: raises LostRun before anything that others see is replaced
        with self.database.read() as session:
            run = runs.get(session, self.run_id)
        dataset = {
            "name": self.store.view(run.dataset_id)["name"],
            "version": run.dataset_version,
            "sha256": run.dataset_sha256,
        }
        metrics, baselines = (outcome.metrics, outcome.baselines) if outcome else (None, None)
        family = self.model.config.model_type
        beside = [self.fitted.write] if self.fitted is not None else []
        more = self.fitted.card() if self.fitted is not None else []

        def card(metrics: dict[str, float] | None, more: list[str]) -> str:
            return model_card(
                self.spec, family, dataset, self.rows, self.task.labels, metrics, baselines, more
            )

        folder = self.files.model(self.run_id)
        self.task.finish(self.model, self.tokenizer)
        export_model(self.model, self.tokenizer, card(metrics, more), folder, beside)
        if outcome is not None:
            heldout.write(self.files.run(self.run_id) / heldout.FILE, outcome.predictions)
        zip_folder(folder, self.files.checkpoint_zip(self.run_id))
        if self.strategy is not None and self.strategy.beside is not None:
            export_beside(self.strategy.beside, base_of(self.spec), self.files.adapter(self.run_id))
        if self.line is not None and outcome is not None:
            self.line.publish(folder, card, self.files.interpolation(self.run_id))
        elif self.line is not None:
            self.line.discard()
        self.best_weights.unlink(missing_ok=True)

    def _check_cancel(self) -> None:
        if self.recorder.cancelled.is_set():
            raise Cancelled
        # While it trains, a pause waits for a place that can be kept.
        if self.stopping.is_set() or (self.recorder.paused.is_set() and not self.keeping):
            raise LaidAside
        if self.recorder.lost.is_set():
            self.recorder.flush()  # raises LostRun


def _without_aliases(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tied weights once: safetensors refuses two names for one memory; loading ties them again."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in state.items():
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        kept[name] = tensor
    return kept
