"""Fine-tuning from spec to checkpoint, step by step: what a trainer does with one attempt.

read the rows ▸ get the model ▸ encode ▸ train, keeping the best weights ▸ measure on the held-out part, beside
the baselines ▸ export. Reports through the recorder; raises Cancelled as soon as the user's cancel is seen.
"""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from app.core import runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.datasets.store import DatasetStore
from app.models.catalog import ModelCatalog
from app.models.hub import fetch
from app.tasks import task as task_named
from app.tasks.examples import Examples, load_examples
from worker import plan
from worker.backbone import pick_device
from worker.export import export_model, model_card, zip_folder
from worker.loop import Evaluated, Recipe, Started, Step, Stopped, train
from worker.progress import Progress
from worker.recorder import Recorder
from worker.tasks import TORCH_TASKS, TorchTask
from worker.tasks.base import Outcome, Part
from worker.transfer import make_plan

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Cancelled(Exception):
    """The user cancelled the run."""


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
    ) -> None:
        self.settings, self.files, self.database = settings, files, database
        self.recorder, self.run_id, self.attempt, self.spec = recorder, run_id, attempt, spec
        self.store = DatasetStore(database, files)
        self.device = pick_device()
        self.best_weights = files.attempt(run_id, attempt) / "best.safetensors"
        self.best: Evaluated | None = None
        self.advice: str | None = None
        self.model: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase
        self.task: TorchTask
        self.rows: dict[str, int]

    def run(self) -> dict[str, Any]:
        """Does it all; returns the columns for the run's end: metrics, baselines, results."""
        spec, recorder = self.spec, self.recorder
        assert spec.max_length is not None and spec.batch_size is not None
        frozen, differences = plan.frozen_plan(
            self.files.run(self.run_id) / "plan.json", self.device, spec.batch_size
        )
        plan.apply(frozen)
        if differences:
            recorder.log("warning", f"Not exactly repeatable: {'; '.join(differences)}.")
        recorder.progress(phase="reading")
        examples = load_examples(self.store, self.files, spec)
        self.task = TORCH_TASKS[spec.task](spec, examples, self.device)
        self.rows = {part: len(examples.part(part).texts) for part in ("train", "validation", "test")}
        recorder.log("info", "Rows: {train} train, {validation} validation, {test} test.".format(**self.rows))
        for reason, count in examples.dropped.items():
            recorder.log("warning", f"{count} rows are left out: {reason}.")
        # The launcher has asked the hub; a later attempt must start without a network when the model is cached.
        info = ModelCatalog(self.settings).find(spec.model, ask_hub=False)
        folder = fetch(info, lambda line: recorder.log("info", line), offline=self.settings.offline)
        self._check_cancel()
        self.model, self.tokenizer = self.task.load(folder)
        recorder.progress(phase="encoding")
        parts = {name: self._encode(examples.part(name)) for name in ("train", "validation")}
        recorder.progress(phase="training")
        self._train(parts["train"], parts["validation"])
        recorder.progress(phase="testing", eta_seconds=None)
        test = self._encode(examples.part("test"))
        self._check_cancel()
        outcome = self.task.measure(self.model, parts["train"], parts["validation"], test)
        self._check_cancel()
        cut = [len(part.encoded.truncated) for part in (*parts.values(), test)]
        outcome.results.update(truncated=sum(cut), advice=self.advice)
        recorder.progress(phase="exporting")
        self._export(outcome)
        return asdict(outcome)

    def keep_best(self) -> bool:
        """After a cancel: exports the best weights so far; False if nothing was evaluated yet."""
        if self.best is None:
            return False
        self._load_best()
        self._export(None)
        return True

    def _encode(self, examples: Examples) -> Part:
        part = self.task.encode(self.tokenizer, examples, lambda _done, _total: self._check_cancel())
        if cut := len(part.encoded.truncated):
            self.recorder.log(
                "warning",
                f"{cut} of {len(examples.texts)} texts are longer than {self.spec.max_length} tokens and lose "
                "their end.",
            )
        return part

    def _train(self, train_part: Part, validation: Part) -> None:
        recipe = self._recipe()
        rows_a_step = recipe.batch_size * recipe.accumulation
        steps_an_epoch = -(-len(train_part.examples.texts) // rows_a_step)
        progress = Progress(self.recorder, recipe.eval_steps or steps_an_epoch)
        events = train(
            self.model,
            self.task.objective(self.model, train_part),
            recipe,
            make_plan(self.model, self.spec.strategy, recipe.weight_decay),
            lambda model: self.task.judge(model, validation),
            task_named(self.spec.task).primary,
            self.device,
        )
        for event in events:
            match event:
                case Started():
                    progress.started(event)
                case Step():
                    progress.step(event)
                case Evaluated():
                    if event.best:
                        self._save_best(event)
                    progress.evaluated(event)
                case Stopped():
                    progress.stopped(event)
            if self.recorder.cancelled.is_set():
                events.close()
                raise Cancelled
            if self.recorder.lost.is_set():
                events.close()
                self.recorder.flush()  # raises LostRun
        self._load_best()
        if progress.loss is not None:
            best = self.best.scores if self.best else {}
            self.advice = self.task.advice(progress.loss, train_part, best)
        if self.advice:
            self.recorder.log("warning", self.advice)

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
        save_file(_without_aliases(state), part)
        os.replace(part, self.best_weights)
        self.best = event

    def _load_best(self) -> None:
        if self.best is not None:
            self.model.load_state_dict(load_file(self.best_weights), strict=False)
            self.model.tie_weights()

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
        card = model_card(self.spec, dataset, self.rows, self.task.labels, metrics, baselines)
        folder = self.files.model(self.run_id)
        export_model(self.model, self.tokenizer, card, folder)
        zip_folder(folder, self.files.checkpoint_zip(self.run_id))
        self.best_weights.unlink(missing_ok=True)

    def _check_cancel(self) -> None:
        if self.recorder.cancelled.is_set():
            raise Cancelled
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
