"""Fine-tuning from spec to checkpoint, step by step: what a trainer does with one attempt.

read the rows ▸ get the model ▸ encode ▸ train, keeping the best weights ▸ measure on the held-out part, beside
the baselines ▸ export. Reports through the recorder; raises Cancelled as soon as the user's cancel is seen.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core import runs
from app.core.archive import zip_folder
from app.core.errors import Invalid
from app.core.events import INEXACT
from app.datasets.store import DatasetStore
from app.models.catalog import ModelCatalog
from app.models.finished import FinishedRun, finished_run, folder_sha256
from app.models.hub import fetch
from app.tasks import heldout
from app.tasks import task as task_named
from app.tasks.examples import Examples, load_examples, part_sizes
from worker import plan
from worker.attempt import Attempt
from worker.export import base_of, export_beside, export_model, model_card
from worker.replay import own_texts
from worker.tasks import TorchTask, torch_task
from worker.tasks.base import Outcome, Part
from worker.training import Training
from worker.transfer.drift import Origin
from worker.transfer.interpolation import Line

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Finetune:
    """One attempt of one run, whatever its task."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt, self.spec, self.recorder = attempt, attempt.spec, attempt.recorder
        self.settings, self.files, self.database = attempt.settings, attempt.files, attempt.database
        self.run_id = attempt.run_id
        self.store = DatasetStore(self.database, self.files)
        self.training: Training | None = None
        self.model: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase
        self.task: TorchTask
        self.examples: Examples
        self.rows: dict[str, int]

    def run(self) -> dict[str, Any]:
        """Does it all; returns the columns for the run's end: metrics, baselines, results."""
        recorder = self.recorder
        train_part, validation, test = self._prepare()
        training = self._train(train_part, validation)
        recorder.progress(phase="testing", eta_seconds=None)
        test = test or self._encode(self.examples.part("test"))
        self.attempt.check()
        outcome = self._measure(training.line, train_part, validation, test)
        self.attempt.check()
        if training.fitted is not None:
            outcome.add(training.fitted.compare(validation, test))
        if training.first is not None:
            outcome.add({"head_first": asdict(training.first)})
        cut = [part.truncated for part in (train_part, validation, test)]
        outcome.results.update(truncated=sum(cut), advice=training.advice, **training.learning)
        outcome.results.update(drift=self.origin.drift(self.model))
        recorder.progress(phase="exporting")
        self._export(training, outcome)
        return {
            "metrics": outcome.metrics,
            "baselines": outcome.baselines,
            "results": outcome.results,
            "weights_sha256": folder_sha256(self.files.model(self.run_id)),
        }

    def _train(self, train_part: Part, validation: Part) -> Training:
        held_out = self.examples.part("test")
        self.training = Training(self.attempt, self.task, self.model, self.tokenizer, held_out)
        self.training.run(train_part, validation)
        return self.training

    def _measure(self, line: Line | None, train_part: Part, validation: Part, test: Part) -> Outcome:
        if line is None:
            return self.task.measure(self.model, train_part, validation, test)
        self.recorder.progress(phase="measuring between the head-only and the fine-tuned model")
        task = task_named(self.spec.task)
        return line.measure(
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
        self._load()
        return self._encode_parts()

    def _load(self) -> None:
        spec, recorder = self.spec, self.recorder
        assert spec.max_length is not None and spec.batch_size is not None
        self.attempt.frozen_plan, differences = plan.frozen_plan(
            self.attempt.plan_file, self.attempt.device, spec.batch_size, self.attempt.meeting.world
        )
        plan.apply(self.attempt.frozen_plan)
        if self.attempt.meeting.first and (halved := plan.after_lack_of_memory(self.attempt.plan_file)):
            recorder.log("warning", halved)
        if differences:
            recorder.log("warning", f"{INEXACT}: {'; '.join(differences)}.")
        recorder.progress(phase="reading")
        self.examples = examples = load_examples(self.store, self.files, spec)
        self.task = torch_task(spec.task)(spec, examples, self.attempt.device)
        self.task.tell = lambda _done, _total: self.attempt.check()
        self.rows = part_sizes(examples)
        recorder.log("info", "Rows: {train} train, {validation} validation, {test} test.".format(**self.rows))
        for reason, count in examples.dropped.items():
            recorder.log("warning", f"{count} rows are left out: {reason}.")
        folder = self._folder()
        self.attempt.check()
        self.model, self.tokenizer = self.task.load(folder, self._keep_head())
        self.origin = Origin(self.model, folder)

    def _encode_parts(self) -> tuple[Part, Part, Part | None]:
        examples, recorder = self.examples, self.recorder
        recorder.progress(phase="encoding")
        train_part, validation = (
            self._encode(examples.part("train")),
            self._encode(examples.part("validation")),
        )
        if self.spec.replay:
            own = own_texts(self.attempt, self.model, self.tokenizer, len(train_part.encoded))
            train_part = self.task.rehearse(train_part, own)
        test: Part | None = None
        if self.task.looks_before and self.attempt.meeting.first:
            test = self._encode(examples.part("test"))
            recorder.progress(phase="measuring the model as it is")
            self.model.to(self.attempt.device)  # type: ignore[arg-type]
            self.task.before(self.model, validation, test)
            self.attempt.check()
        return train_part, validation, test

    def keep_best(self) -> bool:
        """After a cancel: exports the best weights so far; False if nothing was evaluated yet."""
        self.attempt.winding_up = True
        if self.training is not None and self.training.best is not None:
            self.training.load_best()
        elif not self._restore():
            return False
        assert self.training is not None
        self._export(self.training, None)
        return True

    def _restore(self) -> bool:
        """The model with the best weights of the newest checkpoint; False if there is none, or none was evaluated."""
        if not self.attempt.keeper.any():
            return False
        self._load()
        self.recorder.progress(phase="keeping the best weights")
        held_out = self.examples.part("test")
        self.training = Training(self.attempt, self.task, self.model, self.tokenizer, held_out)
        return self.training.restore(self._encode(self.examples.part("train")))

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
        part = self.task.encode(self.tokenizer, examples, lambda _done, _total: self.attempt.check())
        if cut := part.truncated:
            what = "their middle" if self.spec.truncation == "head_tail" else self.task.loses
            self.recorder.log(
                "warning",
                f"{cut} of {len(examples)} texts are longer than {self.spec.max_length} tokens and lose {what}.",
            )
        return part

    def _export(self, training: Training, outcome: Outcome | None) -> None:
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
        beside = [training.fitted.write] if training.fitted is not None else []
        more = training.fitted.card() if training.fitted is not None else self.task.card()

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
        if training.strategy is not None and training.strategy.beside is not None:
            export_beside(training.strategy.beside, base_of(self.spec), self.files.adapter(self.run_id))
        if training.line is not None and outcome is not None:
            training.line.publish(folder, card, self.files.interpolation(self.run_id))
        elif training.line is not None:
            training.line.discard()
        self.attempt.best_weights.unlink(missing_ok=True)
