"""The training of an attempt: the loop's events recorded, the best weights and checkpoints kept, from the plan of the strategy or
the fitted head to the weights that are measured."""

import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from app.core.events import INEXACT, PointValue
from app.tasks import task as task_named
from app.tasks.examples import Examples
from worker import best, plan
from worker.attempt import Attempt, Cancelled, LaidAside
from worker.fast import quickened
from worker.footprint import settle
from worker.keeper import safe
from worker.loop import Evaluated, Event, Halved, Recipe, Started, Step, Stopped, train
from worker.memory import TooManyRows
from worker.progress import Progress
from worker.ranks import ALONE
from worker.recipe import recipe_of
from worker.sharding import Sharded
from worker.tasks import TorchTask
from worker.tasks.base import HeadTask, Part
from worker.transfer import Plan, make_plan
from worker.transfer.blocks import stack_of
from worker.transfer.cache import Cache
from worker.transfer.fitted import FittedHead
from worker.transfer.frozen import EVERY_EPOCH, computed_once, within
from worker.transfer.head_first import HeadFirst, head_first
from worker.transfer.interpolation import Line
from worker.transfer.path import ITERATIONS

Events = Generator[Event, None, None]


class Training:
    """What learns in `model`, and what came of it.

    After run(): `strategy` or `fitted`, by which it learned; `first`, the head that was fitted before; `line`, from that to the
    end of the training; `learning`, how many numbers learn, of how many; `advice`, a sentence if it went poorly; `best`, the
    evaluation whose weights are in the model now (None: there was none).
    """

    def __init__(
        self, attempt: Attempt, task: TorchTask, model: Any, tokenizer: Any, held_out: Examples
    ) -> None:
        """`held_out`: only the figures of a head that is fitted first are taken of it."""
        self.attempt, self.spec, self.recorder = attempt, attempt.spec, attempt.recorder
        self.device = attempt.device
        self.task, self.model, self.tokenizer, self._held_out = task, model, tokenizer, held_out
        self.best: Evaluated | None = None
        self.advice: str | None = None
        self.learning: dict[str, int] = {}
        self.strategy: Plan | None = None
        self.fitted: FittedHead | None = None
        self.first: HeadFirst | None = None
        self.line: Line | None = None
        self.ranks = ALONE
        self._kept: dict[str, Any] | None = None  # facts of the checkpoint that it goes on from

    def run(self, train_part: Part, validation: Part) -> None:
        """Trains, evaluating on `validation`, and puts the best weights into the model.

        Raises Cancelled, LaidAside, LostRun; NonFiniteLoss; TooManyRows; Invalid where a head can't be fitted.
        """
        self.recorder.progress(phase="training")
        self.ranks = self.attempt.meeting.join()
        events, due = (
            self._fitting(train_part, validation)
            if self.spec.converges
            else self._learning(train_part, validation)
        )
        progress = Progress(self.recorder, due)
        self._go_on(progress)
        self.attempt.keeping = self.strategy is not None
        for event in self._marked(events):
            self.recorder.confirm()
            self._record(event, progress, validation)
            if self.strategy is not None and safe(event) and (self.ranks.first or self.ranks.sharded):
                self._keep(progress)
            if self.recorder.cancelled.is_set():
                events.close()
                raise Cancelled
            if self.recorder.lost.is_set():
                events.close()
                self.recorder.flush()  # raises LostRun
        self.attempt.keeping = False
        if isinstance(self.ranks, Sharded):
            self.ranks.end()
        self.load_best()
        if progress.loss is not None and not self.spec.converges:  # an optimum needs no advice
            scores = self.best.scores if self.best else {}
            self.advice = self.task.advice(progress.loss, train_part, scores)
        if self.advice:
            self.recorder.log("warning", self.advice)

    def _marked(self, events: Events) -> Iterator[Event]:
        try:
            yield from events
        except TooManyRows as error:
            plan.mark_memory_full(self.attempt.plan_file, error.rows)
            raise

    def _record(self, event: Event, progress: Progress, validation: Part) -> None:
        match event:
            case Started():
                self.recorder.progress(phase="training")
                progress.started(event)
                self.learning = {"trainable": event.trainable, "parameters": event.parameters}
            case Halved():
                progress.halved(event)
                if self.ranks.first:
                    plan.note(self.attempt.plan_file, micro_batch=event.micro_batch)
            case Step():
                progress.step(event)
            case Evaluated():
                if event.best and self.ranks.first:
                    self._save_best(event)
                progress.evaluated(event)
                if self.ranks.first and (samples := self.task.samples(self.model, validation)):
                    self.recorder.samples(event.step, event.epoch, samples)
            case Stopped():
                progress.stopped(event)
                if self.spec.converges:  # how many steps it takes is known only now
                    self.recorder.progress(steps=event.step)

    def _go_on(self, progress: Progress) -> None:
        """Tells a later attempt's beginning: the curves end where its checkpoint was written."""
        if self.attempt.number == 1 or not self.ranks.first:
            return
        step, kept = self.attempt.keeper.place.step, self._kept or {}
        progress.loss = kept.get("loss")
        step_of_best = self._remember(kept)
        self.recorder.flush()
        self.recorder.go_on(step, kept.get("epoch", 0.0), step_of_best)
        self.recorder.points(*(PointValue(*point) for point in kept.get("points", ())))
        where = f"goes on behind step {step}" if step else "begins again: there was no checkpoint yet"
        self.recorder.log("info", f"Attempt {self.attempt.number} {where}.")

    def _remember(self, kept: dict[str, Any]) -> int | None:
        """The step of the best evaluation that the checkpoint tells of: its weights are the keeper's to bring."""
        if found := kept.get("best"):
            self.best = Evaluated(**found, best=True, seconds=0.0, time=time.time())
        return self.best.step if self.best else None

    def restore(self, train_part: Part) -> bool:
        """Puts the best weights of the newest checkpoint into the model, in place of a training; False if it has none."""
        self.task.objective(self.model, train_part)
        self.strategy = self._plan(recipe_of(self.spec))
        kept = self.attempt.keeper.begin(self.strategy.groups)
        line = self.attempt.files.interpolation(self.attempt.run_id)
        shutil.rmtree(line.with_name(f"{line.name}.part"), ignore_errors=True)  # nothing is measured on it
        if self._remember(kept or {}) is None:
            return False
        self.load_best()
        return True

    def _plan(self, recipe: Recipe) -> Plan:
        strategy = make_plan(self.model, self.spec.strategy, recipe.weight_decay, self.spec.seed)
        if self.task.head_start:
            stack = stack_of(self.model)
            return strategy.waiting(self.task.head_start, stack.of(stack.top))
        return strategy

    def _keep(self, progress: Progress) -> None:
        """Writes a checkpoint if it is time for one. Raises LaidAside if the run is to end with it.

        Where each process holds a part of the model, all come here at once, and the first decides.
        """
        leave = self.attempt.stopping.is_set() or self.recorder.paused.is_set()
        now = leave or self.attempt.keeper.due()
        if not (self.ranks.share(lambda: now) if self.ranks.sharded else now):
            return
        if not self.ranks.first:
            self.attempt.keeper.lend()
            return
        told = self.best and {"step": self.best.step, "epoch": self.best.epoch, "scores": self.best.scores}
        points = [(one.series, one.step, one.value, one.time) for one in self.recorder.unwritten()]
        if self.attempt.keeper.save(
            {"loss": progress.loss, "epoch": progress.epoch, "best": told, "points": points}
        ):
            # Whatever went wrong before has been got over: it counts no more.
            self.recorder.progress(checkpoint_step=self.attempt.keeper.place.step, failures=0)
        if leave:
            raise LaidAside

    def _learning(self, train_part: Part, validation: Part) -> tuple[Events, int]:
        """The loop's events, and the steps between two evaluations."""
        recipe, task, ranks = recipe_of(self.spec), task_named(self.spec.task), self.ranks
        objective = self.task.objective(self.model, train_part)
        if getattr(self.spec.strategy, "head_first", False) and ranks.first:  # the others get its weights
            self._fit_head_first(objective, train_part, validation)
        self.strategy = self._plan(recipe)
        if self.first is not None:
            line = self.attempt.files.interpolation(self.attempt.run_id)
            self.line = Line(self.model, self.strategy, line.with_name(f"{line.name}.part"))
        most = recipe.at_a_time(ranks.world), int(objective.lengths.max(initial=1))
        fit = settle(
            self.attempt.plan_file,
            self.model,
            self.strategy,
            most,
            self.device,
            ranks,
            self.attempt.say,
            shard=self.attempt.settings.shard,
        )
        recipe = replace(recipe, micro_batch=fit.micro_batch)
        self._kept = self.attempt.keeper.begin(self.strategy.groups, ranks.first)
        if fit.sharded:
            self.ranks = spread = Sharded(self.model, self.strategy, self.device)
            self.strategy = spread.plan
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
            ranks=self.ranks,
            place=self.attempt.keeper.place,
        )
        self.model.to(self.device)
        events = within(self._computed_once(self.strategy, train_part, validation), events)
        events = within(quickened(self.model), events)
        return events, recipe.eval_steps or steps_an_epoch

    @contextmanager
    def _computed_once(self, strategy: Plan, *parts: Part) -> Iterator[None]:
        """Inside, what `strategy` leaves frozen is computed once for the rows of `parts`; in a later attempt only if the
        first had the room for it, so that both compute the same."""
        noted = self.attempt.frozen_plan.get("frozen_part")
        frozen = strategy.frozen if self.task.rereads and noted != EVERY_EPOCH else ()
        encoded = [part.encoded for part in parts]
        cache = self._cache()
        told = self.attempt.say, self._tell_frozen
        with computed_once(self.model, frozen, encoded, self.device, cache, *told) as how:
            if noted is not None and how not in (noted, None):
                self.recorder.log("warning", f"{INEXACT}: the frozen part was {noted} and is {how}.")
            elif how is not None and self.attempt.meeting.first:
                plan.note(self.attempt.plan_file, frozen_part=how)
            yield

    def _cache(self) -> Cache:
        return Cache(self.attempt.files.frozen_outputs, self.attempt.settings.cache_bytes)

    def _tell_frozen(self, done: int, total: int) -> None:
        self.attempt.check()
        # In steps of 5 %: each change is an event that stays in the database.
        self.recorder.progress(phase=f"computing the frozen part, {20 * done // total * 5} %")

    def _fitting(self, train_part: Part, validation: Part) -> tuple[Events, int]:
        """The same of a head that is fitted instead."""
        assert isinstance(self.task, HeadTask)
        self.recorder.progress(phase="reading the texts with the frozen model")
        self.fitted = FittedHead(
            self.model, self.task, self.spec.pooling, self.device, self.attempt.say, self._cache()
        )
        task = task_named(self.spec.task)
        objective: Any = self.task.objective(self.model, train_part)
        return self.fitted.events(
            objective, train_part, validation, task.primary, task.primary_is_lower
        ), ITERATIONS

    def _fit_head_first(self, objective: Any, train_part: Part, validation: Part) -> None:
        assert isinstance(self.task, HeadTask)
        self.recorder.progress(phase="fitting the head first")
        test = self.task.encode(self.tokenizer, self._held_out, self.task.tell)
        task = task_named(self.spec.task)
        parts = train_part, validation, test
        self.first = head_first(
            self.model,
            self.task,
            objective,
            parts,
            task.primary,
            task.primary_is_lower,
            self.device,
            self._cache(),
        )
        found = ", ".join(f"{name} {value:.4f}" for name, value in self.first.metrics.items())
        self.attempt.say(
            f"The head was fitted first, on the frozen model, in {self.first.iterations} iterations and {self.first.seconds:.1f} s: "
            f"{found} on the held-out part. Now the rest learns too."
        )
        self.recorder.progress(phase="training")

    def _save_best(self, event: Evaluated) -> None:
        # What is frozen is in memory as it was, unless each process has a part of it only.
        names = self.ranks.names if isinstance(self.ranks, Sharded) else []
        if self.fitted is not None:
            names = list(self.fitted.learned)
        elif self.strategy is not None:
            names += [name for group in self.strategy.groups for name in group.names]
        path = self.attempt.best_weights
        self.attempt.with_room("the best weights", "training", lambda: best.save(self.model, names, path))
        self.best = event

    def load_best(self) -> None:
        if isinstance(self.ranks, Sharded):
            self.ranks.end(alone=True)
        if self.best is not None:
            best.load(self.model, self.attempt.best_weights)
        if self.strategy is not None and self.strategy.finish is not None:
            self.strategy.finish()
