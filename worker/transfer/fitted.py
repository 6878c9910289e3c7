"""A fitted head: the last layer goes to its optimum over what a frozen trunk says of the training texts.

    the trunk reads each text once ▸ for each strength of an L2 penalty, from strong to weak: L-BFGS to the optimum
    ▸ the strength with the best score on validation stays

This is the strategy `head` with `fit: converge`: the loop's events without the loop.
"""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from app.core.clock import Clock
from app.models.families import is_decoder
from app.tasks import task as task_named
from worker.loop import Event, Started
from worker.losses import SequenceLoss
from worker.tasks.base import HeadTask, Part
from worker.tasks.score import last_layer
from worker.transfer import sentence_transformers
from worker.transfer.cache import Cache
from worker.transfer.linear_heads import linearise
from worker.transfer.path import MOST, Found, Judge, along, finished, fit_of, put
from worker.transfer.pooling import Features, Reader, of_texts
from worker.transfer.solver import Layer

TRIED_ON = 64  # training rows

Pooling = Literal["own", "cls", "mean"] | None
Say = Callable[[str], None]


class FittedHead:
    """The head of `model`, which is changed in place. `pooling`: of the spec. `say`: for lines of the log. `cache`: of what the
    frozen model reads; None: it is read anew each time."""

    def __init__(
        self,
        model: Any,
        task: HeadTask,
        pooling: Pooling,
        device: torch.device,
        say: Say,
        cache: Cache | None = None,
    ) -> None:
        self.model, self.task, self.device, self.say = model, task, device, say
        self.asked = pooling
        # Of a word there is no first token and no mean.
        self.pools = "pooling" in task_named(task.spec.task).options
        self.layer = last_layer(model)
        self.reader = Reader(model, self.layer, task, device, cache)
        self.reads: Pooling = "own"
        self.chosen: Layer | None = None
        self.mean: Layer | None = None  # of the head on the mean of the tokens, beside the model's own
        self.limits: list[str] = []  # what the page has to say of a fit that was cut off

    @property
    def learned(self) -> set[str]:
        """The names of the tensors that are fitted."""
        return layer_names(self.model, self.layer)

    def events(
        self,
        objective: SequenceLoss,
        train: Part,
        validation: Part,
        primary: str,
        lower: bool = False,
        clock: Clock = time.time,
    ) -> Generator[Event, None, None]:
        """Fits; a Step is an iteration of L-BFGS, an Evaluated the optimum for one strength. At its end the model has the
        best. Raises NonFiniteLoss if the trunk gives what is no number, Invalid if the head can't be fitted."""
        self.model.requires_grad_(False).to(self.device)
        self.model.eval()
        self._choose_what_it_reads(train)
        began = time.perf_counter()
        learn, judge = (
            self.reader.features(part, mean=self._beside, tell=self.task.tell) for part in (train, validation)
        )
        texts = f"{len(train.examples) + len(validation.examples):,} texts"
        how = (
            f"What the frozen model reads of {texts} was computed by an earlier run"
            if learn.known and judge.known
            else f"The frozen model has read {texts} once, in {time.perf_counter() - began:.1f} s"
        )
        self.say(f"{how}; the head reads {self.name_of(self.reads)}.")
        total = sum(parameter.numel() for parameter in self.model.parameters())
        numbers = sum(parameter.numel() for parameter in self.layer.parameters())
        yield Started(MOST, 0, numbers, total, "float64", "cpu")
        fit = fit_of(learn.own, objective, self.layer)
        found = along(fit, Judge(self.task, judge.own, validation, primary, lower), self._set, clock)
        self.chosen = self._of((yield from found), self.reads)
        if self._beside and learn.mean is not None and judge.mean is not None:
            fit = fit_of(learn.mean, objective, nn.Linear(learn.mean.shape[1], self.layer.out_features))
            on_mean = Judge(self.task, judge.mean, validation, primary, lower)
            path = along(fit, on_mean, lambda _: None, clock)
            self.mean = self._of(finished(path, lambda _: self.task.tell(0, 0)), "mean")

    def compare(self, validation: Part, test: Part) -> dict[str, Any]:
        """{"poolings": {name: the task's metrics}} of the held-out part by what a head reads, and the "notes" on it."""
        if self.mean is None or self.chosen is None:
            return {"notes": [*([note] if (note := self._note(None)) else []), *self.limits]}
        on = [
            (part, self.reader.features(part, mean=True, tell=self.task.tell)) for part in (validation, test)
        ]

        def metrics(layer: Layer, pick: Callable[[Features], Any]) -> dict[str, float]:
            logits = [of_texts(layer.logits(pick(features)), part) for part, features in on]
            return self.task.figures(logits[0], validation, logits[1], test)

        found = {
            self.name_of(self.reads): metrics(self.chosen, lambda one: one.own),
            self.name_of("mean"): metrics(self.mean, lambda one: one.mean),
        }
        return {"poolings": found, "notes": [self._note(found), *self.limits]}

    def write(self, folder: Path) -> None:
        """Puts the files beside the model with which sentence-transformers gives the outputs of the head on the mean."""
        if self.mean is not None:
            sentence_transformers.write(folder, self.mean_layer(self.mean), self.task.spec.max_length)

    def card(self) -> list[str]:
        """Lines for the download's README on the second head."""
        if self.mean is None:
            return []
        outputs = ", ".join(self.task.head())
        return [
            "",
            f"The head of this model reads {self.name_of(self.reads)}. A second one, on the mean of the tokens, is here for",
            "sentence-transformers; it gives the logits, in this order: " + outputs + ".",
            "",
            "```python",
            "from sentence_transformers import SentenceTransformer",
            "",
            'logits = SentenceTransformer("FOLDER").encode(["A text to classify."])',
            "```",
        ]

    def mean_layer(self, found: Layer) -> nn.Linear:
        """As float32, in the unit of the download."""
        layer = nn.Linear(found.weight.shape[1], found.weight.shape[0])
        put(found, layer)
        self.task.fold(layer)
        return layer

    def name_of(self, pooling: Pooling) -> str:
        """What a head reads, for pages."""
        decoder = is_decoder(self.model.config.model_type)
        own = "the last token" if decoder else "what the model's own head makes of a text"
        return {"cls": "the first token", "mean": "the mean of the tokens"}.get(pooling or "own", own)

    @property
    def _beside(self) -> bool:
        """Whether a head on the mean is fitted too."""
        return self.pools and self.asked in (None, "mean") and self.reads != "mean"

    def _choose_what_it_reads(self, train: Part) -> None:
        if not self.pools or self.asked == "own" or is_decoder(self.model.config.model_type):
            return
        rows = np.arange(min(TRIED_ON, len(train.encoded)))
        batch = self.reader.batch(train.encoded, rows)
        asked: list[Literal["cls", "mean"]] = ["mean", "cls"] if self.asked == "mean" else ["cls"]
        for target in asked:
            if linearise(self.model, self.reader, batch, target, told=self.asked is not None):
                self.reads = target
                return

    def _of(self, found: Found, pooling: Pooling) -> Layer:
        if found.exhausted:
            said = (
                f"The fit of the head on {self.name_of(pooling)} has used up its {MOST} iterations before it was sure of the best "
                "penalty; a weaker one might do better."
            )
            self.limits.append(said)
            self.say(said)
        return found.layer

    def _set(self, layer: Layer) -> None:
        put(layer, self.layer)

    def _note(self, found: dict[str, dict[str, float]] | None) -> str | None:
        kind, asked = type(self.model).__name__, self.asked
        reads, mean = self.name_of(self.reads), self.name_of("mean")
        beside = (
            "the head on the mean of the tokens is in the download as well, for sentence-transformers; its README says how to "
            "load either."
        )
        if asked == "mean" and self.reads != "mean":
            return f"{kind} of transformers can't read {mean} with a plain linear head, so the model's head reads {reads}; {beside}"
        if asked == "cls" and self.reads == "own":
            return f"{kind} of transformers can't read the first token with a plain linear head, so the head reads {reads}."
        return f"The head reads {reads}; {beside}" if found else None


def layer_names(model: nn.Module, layer: nn.Module) -> set[str]:
    own = {id(parameter) for parameter in layer.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in own}
