"""Generation, the half with torch: a causal language model that learns completions, or texts alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from app.core.errors import Invalid
from app.core.spec import RunSpec
from app.tasks.examples import Examples
from app.tasks.generation import new_tokens, paired
from worker.backbone import open_folder, pad_id
from worker.causal import load_causal, with_cache
from worker.encode import CHUNK
from worker.language import Causal, LanguageLoss, mean_loss, perplexity, row_losses
from worker.packing import flatten, windows
from worker.prompting import Prompting, prompt_room, template_fault, write
from worker.replay import OwnTexts, behind, whole_texts
from worker.tasks.base import Outcome, Part, Prediction, Tell, TorchTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NOBODYS = -1
SAMPLES = 3
SAMPLE_TOKENS = 8  # of a text alone, from which a sample goes on
SHOWN = 2_000  # letters of a text on the page
WRITTEN = 50  # held-out rows, the worst, for which the page shows what the model writes


@dataclass(frozen=True)
class Sequences:
    """What Part.truth is here. `language`: the windows with what is learned in them. `example`: int64 (windows,), whose
    window it is, NOBODYS of a text that the model wrote itself."""

    language: Causal
    example: npt.NDArray[np.int64]


class Generation(TorchTask):
    looks_before = True
    pretrained_head = True
    loses = "the beginning of their prompt"

    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        super().__init__(spec, examples, device)
        self.paired = paired(spec)
        self.notes: list[str] = []
        self.counted: Counter[str] = Counter()
        self.pairs = list(zip(examples["prompt"], examples["completion"], strict=True)) if self.paired else []
        self.prompting: Prompting
        self.room: int
        self.was: dict[str, float]  # the loss of each part before the training
        self.own: Causal | None = (
            None  # texts that the model wrote before the training and doesn't learn from
        )

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer, new_head = load_causal(folder, self.spec.seed)
        self.notes += new_head
        if self.paired and tokenizer.chat_template is not None:
            fault = template_fault(tokenizer, self.pairs)
            if fault is not None:
                self.notes.append(
                    f"The model's chat template was not used: {fault}. Prompts end with a line break."
                )
                tokenizer.chat_template = None  # the download says by its template how it wants to be asked
        self.prompting = Prompting(tokenizer, self.paired)
        assert self.spec.max_length is not None
        self.room = prompt_room(model, self.spec.max_length, new_tokens(self.spec))
        return model, tokenizer

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        size = self.spec.max_length
        assert size is not None
        bare, _ = self.prompting.prompt("", size)
        if len(bare) > size // 2:
            raise Invalid(
                f"The model's chat template alone takes {len(bare)} tokens of each prompt: "
                f"set max_length to {2 * len(bare)} or more.",
                kind="training",
            )
        rows: list[npt.NDArray[np.int32]] = []  # not lists of int: eight times the memory
        learn: list[npt.NDArray[np.bool_]] = []
        owners: list[int] = []
        cut = split = 0
        for number in range(len(examples)):
            ids, begin, lost = self._tokens(examples, number, size)
            cut += lost
            parts = windows(len(ids), size, size // 4)
            split += len(parts) > 1
            for window in parts:
                rows.append(np.array(ids[window.start : window.end], dtype=np.int32))
                learn.append(np.arange(window.start, window.end) >= max(begin, window.fresh))
                owners.append(number)
            if number % CHUNK == CHUNK - 1:
                progress(number + 1, len(examples))
        progress(len(examples), len(examples))
        for what, count in (("examples", len(examples)), ("split", split), ("cut", cut)):
            self.counted[what] += count
        encoded = flatten(rows)
        language = Causal(encoded, np.concatenate([np.zeros(0, np.bool_), *learn]))
        return Part(examples, encoded, Sequences(language, np.array(owners, dtype=np.int64)), cut)

    def _tokens(self, examples: Examples, number: int, size: int) -> tuple[list[int], int, bool]:
        """The tokens of an example, the first of them that is learned, and whether its prompt was cut."""
        if not self.paired:
            return self.prompting.text(examples.texts[number]), 0, False
        completion = self.prompting.completion(examples["prompt"][number], examples["completion"][number])
        # A completion is never cut, but a long one leaves the prompt half of the first window.
        prompt, lost = self.prompting.prompt(
            examples["prompt"][number], max(size - len(completion), size // 2)
        )
        return [*prompt, *completion], len(prompt), lost

    def objective(self, model: nn.Module, train: Part) -> LanguageLoss:
        return LanguageLoss(train.truth.language, pad_id(model))

    def rehearse(self, train: Part, own: OwnTexts) -> Part:
        self.own = whole_texts(own.held)
        yours: Sequences = train.truth
        language = behind(yours.language, own.rehearsed)
        learned = int(language.counts.sum())
        replayed = learned - int(yours.language.counts.sum())
        self.notes.append(
            f"Replay: {len(own.rehearsed):,} of {len(language.data):,} training rows, with {replayed:,} of the {learned:,} tokens "
            "that are learned, are texts that the model wrote itself before the training; the training loss counts them too. "
            f"What it forgets is measured on {len(own.held)} more that it did not learn from."
        )
        example = np.concatenate([yours.example, np.full(len(own.rehearsed), NOBODYS)])
        return replace(train, encoded=language.data, truth=Sequences(language, example))

    def before(self, model: nn.Module, validation: Part, test: Part) -> None:
        known = {"validation": validation.truth.language, "test": test.truth.language}
        if self.own is not None:
            known["own"] = self.own
        self.was = {
            name: mean_loss(*row_losses(model, language, self.device, self.tell))
            for name, language in known.items()
        }

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        return _figures(*row_losses(model, validation.truth.language, self.device, self.tell))

    def samples(self, model: nn.Module, validation: Part) -> list[dict[str, str]]:
        """Greedy, for the same prompts each time: evenly spaced rows."""
        examples = validation.examples
        count = min(SAMPLES, len(examples))
        rows = [number * len(examples) // count for number in range(count)]
        asked = [self._asked(examples, row) for row in rows]
        texts = self._write(model, [ids for ids, _, _ in asked])
        return [
            {"prompt": prompt[:SHOWN], "text": text, "reference": reference[:SHOWN]}
            for (_, prompt, reference), text in zip(asked, texts, strict=True)
        ]

    def _asked(self, examples: Examples, row: int) -> tuple[list[int], str, str]:
        """What the model goes on from in an example: tokens and text; and how the example goes on."""
        if self.paired:
            prompt = examples["prompt"][row]
            return self.prompting.prompt(prompt, self.room)[0], prompt, examples["completion"][row]
        ids = self.prompting.text(examples.texts[row])
        begin = min(SAMPLE_TOKENS, max(1, len(ids) // 2))
        decode = self.prompting.tokenizer.decode
        first, rest = (str(decode(part, skip_special_tokens=True)) for part in (ids[:begin], ids[begin:]))
        return ids[:begin], first, rest

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        sums, counts = row_losses(model, test.truth.language, self.device, self.tell)
        found, was = _figures(sums, counts), self.was["test"]
        what = "completion" if self.paired else "text"
        return Outcome(
            metrics=found,
            baselines={"before": {"loss": was, "perplexity": perplexity(was)}},
            results={
                "rows": len(test.examples),
                "notes": [*self.notes, *self._lengths()],
                "before_after": {
                    "title": f"loss of the {what}",
                    "before": was,
                    "after": found["loss"],
                    "lower": True,
                    "unit": "nats per token",
                },
                **self._forgotten(model),
                "settings": {
                    "decoding": "greedy",
                    "max_new_tokens": new_tokens(self.spec),
                    "prompts": self._format(),
                },
            },
            predictions=self._predictions(model, test, sums, counts),
        )

    def _forgotten(self, model: nn.Module) -> dict[str, Any]:
        if self.own is None:
            return {}
        now = mean_loss(*row_losses(model, self.own, self.device, self.tell))
        title = "loss on what the model used to write"
        drawn = {"title": title, "before": self.was["own"], "after": now}
        return {"forgotten": {**drawn, "lower": True, "unit": "nats per token"}}

    def _predictions(
        self, model: nn.Module, test: Part, sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
    ) -> list[Prediction]:
        """By the loss per token. Only the worst get an output, for it takes seconds to write."""
        examples, number = test.examples, len(test.examples)
        losses = np.bincount(test.truth.example, sums, number) / np.maximum(
            1, np.bincount(test.truth.example, counts, number)
        )
        worst = np.argsort(-losses, kind="stable")[: min(WRITTEN, -(-number // 10))].tolist()
        asked = {row: self._asked(examples, row) for row in worst}
        written = dict(zip(worst, self._write(model, [asked[row][0] for row in worst]), strict=True))
        found = []
        for row, loss in enumerate(losses.tolist()):
            prompt, reference = ("", "")
            if self.paired:
                prompt, reference = examples["prompt"][row], examples["completion"][row]
            elif row in asked:
                _, prompt, reference = asked[row]
            output = written.get(row, "")
            found.append(
                Prediction(
                    row_id=examples.row_ids[row],
                    text=examples["prompt" if self.paired else "text"][row],
                    truth=reference,
                    predicted=output,
                    wrong=row in asked,
                    badness=loss,
                    detail={"prompt": prompt, "reference": reference, "output": output, "loss": loss},
                )
            )
        return found

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if not best or best["loss"] < self.was["validation"]:
            return None
        assert self.spec.learning_rate is not None
        return (
            f"On the validation rows the loss is {best['loss']:.3f} at best, and was {self.was['validation']:.3f} before the "
            f"training: the model has not gained from it. Try more rows, or a third of the learning rate ({self.spec.learning_rate / 3:.2g})."
        )

    def card(self) -> list[str]:
        if not self.spec.replay:
            return []
        share = f"{self.spec.replay:.0%}".replace("%", " %")
        return [
            "",
            f"Replay: {share} of the training rows are texts that the model wrote itself before it learned.",
        ]

    def finish(self, model: Any, tokenizer: Any) -> None:
        """What was switched off for the training is on again in the download."""
        with_cache(model)

    def _write(self, model: Any, prompts: Sequence[list[int]]) -> list[str]:
        return write(model, self.prompting.tokenizer, prompts, new_tokens(self.spec), self.tell)

    def _lengths(self) -> list[str]:
        """What became of examples of more than max_length tokens."""
        told, of = [], f"of {self.counted['examples']:,}"
        if split := self.counted["split"]:
            what = "completions" if self.paired else "texts"
            told.append(
                f"{split:,} {of} {what} are longer than {self.spec.max_length} tokens: they are read in windows that overlap, "
                "and nothing of them is cut off."
            )
        if cut := self.counted["cut"]:
            told.append(
                f"{cut:,} {of} prompts are too long for {self.spec.max_length} tokens and lose their beginning."
            )
        return told

    def _format(self) -> str:
        if self.prompting.chat:
            return "a message, by the model's chat template"
        return "the prompt, a line break, then the completion" if self.paired else "the beginning of a text"

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        return open_folder(folder, AutoModelForCausalLM)

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """{"text": what the model writes after the prompt} for each, in order; greedy, as in the evaluation."""
        assert spec.max_length is not None
        prompting = Prompting(tokenizer, paired(spec))
        room = prompt_room(model, spec.max_length, new_tokens(spec))
        prompts = [prompting.prompt(text, room)[0] for text in inputs]
        return [{"text": text} for text in write(model, tokenizer, prompts, new_tokens(spec))]


def _figures(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> dict[str, float]:
    loss = mean_loss(sums, counts)
    return {"loss": loss, "perplexity": perplexity(loss)}
