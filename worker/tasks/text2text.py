"""Text to text, the half with torch: an encoder-decoder, the cross-entropy of the target's tokens, beam search."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM

from app.core.errors import Invalid
from app.core.spec import RunSpec
from app.tasks.examples import Examples
from app.tasks.text2text import Scores, new_tokens, prefix, scores, sentence_chrf
from worker.advice import entropy, stalled
from worker.backbone import load_pretrained, open_folder, pad_id
from worker.encode import encode
from worker.seq2seq import TokenCrossEntropy, encode_targets, settle_generation, token_loss, write
from worker.tasks.base import Outcome, Part, Prediction, Rows, Tell, TorchTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Validation rows that an evaluation writes: at most a tenth of what an epoch reads, for writing a row costs more
# than learning it.
MOST_WRITTEN = 64
WRITTEN_SHARE = 10
SAMPLES = 3
# Up to so many test rows are also given to the model as it was: that doubles the time that measuring takes.
MOST_BEFORE = 500
WORST_SHARE = 10  # every so many rows one counts as among the worst
FEW = 100
# A loss of so many times that of guessing comes of too little learning, not of weights that a high rate has spoilt.
FAR = 1.1


class Text2Text(TorchTask):
    def __init__(self, spec: RunSpec, examples: Examples, device: torch.device) -> None:
        super().__init__(spec, examples, device)
        self._train_rows = examples.parts.count("train")
        self._folder: Path
        self._tokenizer: PreTrainedTokenizerBase
        self._samples: list[dict[str, str]] = []

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer, absent = load_pretrained(
            folder, AutoModelForSeq2SeqLM, lambda _config: None, self.spec.seed
        )
        if absent - {"final_logits_bias"}:
            raise Invalid(
                f"The weights of the model {folder.name} don't fit its config.json ({min(absent)} and "
                f"{len(absent) - 1} more are missing or of another size); download the model again or choose another.",
                kind="model",
            )
        # A BERT-like tokenizer (Chinese BART) would hand `generate` what the model doesn't take.
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
        if self.spec.source_language:
            tokenizer.src_lang, tokenizer.tgt_lang = self.spec.source_language, self.spec.target_language
        settle_generation(model, tokenizer, self.spec.num_beams, new_tokens(self.spec))
        self._folder, self._tokenizer = folder, tokenizer
        return model, tokenizer

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        assert self.spec.max_length is not None
        sources = [prefix(self.spec) + text for text in examples["source"]]
        encoded = encode(tokenizer, sources, self.spec.max_length, progress)
        longest = self.spec.max_target_length or self.spec.max_length
        targets = encode_targets(tokenizer, examples["target"], longest, progress)
        cut = np.union1d(encoded.truncated, targets.truncated)
        return Part(examples, encoded, targets, len(cut))

    def objective(self, model: nn.Module, train: Part) -> TokenCrossEntropy:
        return TokenCrossEntropy(train.encoded, train.truth, pad_id(model), self.spec.label_smoothing)

    def judge(self, model: nn.Module, validation: Part) -> dict[str, float]:
        """The loss of all rows; chrF and BLEU of a few, evenly spaced, written without a beam search."""
        count = max(SAMPLES, min(MOST_WRITTEN, self._train_rows // WRITTEN_SHARE))
        rows = _spaced(len(validation.examples), count)
        texts = write(model, self._tokenizer, validation.encoded, rows, self.tell, num_beams=1)
        sources, targets = validation.examples["source"], validation.examples["target"]
        self._samples = [
            {"prompt": sources[rows[place]], "text": texts[place], "reference": targets[rows[place]]}
            for place in _spaced(len(rows), SAMPLES)
        ]
        found = scores(texts, [targets[row] for row in rows])
        loss = token_loss(model, validation.encoded, validation.truth, self.device)
        return {"loss": loss, "chrf": found.chrf, "bleu": found.bleu}

    def samples(self, model: nn.Module, validation: Part) -> list[dict[str, str]]:
        return self._samples

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        sources, references = test.examples["source"], test.examples["target"]
        every = np.arange(len(references), dtype=np.int64)
        outputs = write(model, self._tokenizer, test.encoded, every, self.tell)
        found = scores(outputs, references)
        notes = self._notes(test, found)
        baselines = {"copy": scores(sources, references).metrics}
        if len(references) > MOST_BEFORE:
            notes.append(
                f"The model before fine-tuning is not measured: it would have to write {len(references):,} texts."
            )
        else:
            try:
                before, tokenizer = self.load(self._folder, keep_head=True)
                before.to(self.device)  # type: ignore[arg-type]
                written = write(before, tokenizer, test.encoded, every, self.tell)
                baselines = {"before": scores(written, references).metrics, **baselines}
            except Invalid as error:  # moved or deleted since: no reason to lose what was trained
                notes.append(f"The model before fine-tuning is not measured: {error}")
        settings = {
            "beams": self.spec.num_beams,
            "max_new_tokens": new_tokens(self.spec),
            "source_prefix": prefix(self.spec),
            "source_language": self.spec.source_language,
            "target_language": self.spec.target_language,
        }
        results = {
            "rows": len(references),
            "notes": notes,
            "signatures": found.signatures,
            "settings": {name: value for name, value in settings.items() if value},
        }
        return Outcome(found.metrics, baselines, results, _predictions(test.examples, outputs))

    def _notes(self, test: Part, found: Scores) -> list[str]:
        notes = []
        rows, most = len(test.examples), new_tokens(self.spec)
        if long := int((test.truth.lengths > most).sum()):
            notes.append(
                f"{long:,} of {rows:,} references have more than {most} tokens, but the model may write no more: raise "
                "max_new_tokens for longer texts."
            )
        if "tok:char" in found.signatures["bleu"]:
            notes.append(
                "The references are in a script without spaces, so BLEU takes each character for a word."
            )
        if rows < FEW:
            notes.append(
                f"BLEU and chrF of only {rows} rows are rough: other rows could give several points more or less."
            )
        return notes

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if self.spec.label_smoothing:
            return None  # then the loss is not the plain cross-entropy that guessing is compared with
        assert self.spec.learning_rate is not None
        counts = np.bincount(train.truth.ids)
        guessing = entropy(counts / counts.sum())
        rate = self.spec.learning_rate
        if loss > FAR * guessing:
            return (
                f"The training loss ended at {loss:.3f}, far above what guessing tokens by their frequency gives "
                f"({guessing:.3f}): the model has hardly begun to learn. Try more epochs, or a higher learning rate "
                f"({rate * 10:.2g})."
            )
        return stalled(loss, guessing, "guessing tokens by their frequency", rate)

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        return open_folder(folder, AutoModelForSeq2SeqLM)

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """{"text"} for each text, in order, written as the held-out rows were."""
        assert spec.max_length is not None
        encoded = encode(tokenizer, [prefix(spec) + text for text in inputs], spec.max_length)
        rows = np.arange(len(inputs), dtype=np.int64)
        return [{"text": text} for text in write(model, tokenizer, encoded, rows, lambda _done, _total: None)]


def _spaced(rows: int, most: int) -> Rows:
    """At most `most` of the numbers below `rows`, evenly spaced, the same each time."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(np.int64))


def _predictions(examples: Examples, outputs: list[str]) -> list[Prediction]:
    """By chrF, the worst first; "wrong" is the worst tenth of those that are not word for word the reference."""
    sources, references = examples["source"], examples["target"]
    found = sentence_chrf(outputs, references)
    worst = set(np.argsort(found, kind="stable")[: -(-len(found) // WORST_SHARE)].tolist())
    return [
        Prediction(
            row_id=examples.row_ids[row],
            text=source,
            truth=reference,
            predicted=output,
            wrong=row in worst and output.strip() != reference.strip(),
            badness=100.0 - chrf,
            detail={"source": source, "reference": reference, "output": output, "chrf": chrf},
        )
        for row, (source, reference, output, chrf) in enumerate(
            zip(sources, references, outputs, found, strict=True)
        )
    ]
