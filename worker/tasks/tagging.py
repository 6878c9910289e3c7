"""Tagging, the half with torch: a token classification head, cross-entropy over the words' first pieces, whole entities."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import AutoModelForTokenClassification

from app.core.spec import RunSpec
from app.datasets import bio
from app.models.families import is_decoder
from app.tasks.examples import Examples
from app.tasks.sentences import Sentence, words_in
from app.tasks.tagging import Tagging as FreeHalf
from app.tasks.tagging import shown
from worker import evaluate
from worker.advice import entropy, stalled
from worker.backbone import load_classifier, open_folder, pad_id
from worker.batches import collate
from worker.losses import CrossEntropy
from worker.tagging import Windows, require_offsets, word_logits, word_windows
from worker.tasks.base import HeadTask, Outcome, Part, Prediction, Rows, Tell
from worker.tasks.classification import balanced

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EVAL_BATCH = 64
ANSWER_BATCH = 32

Tags = list[str]


@dataclass(frozen=True)
class Truth:
    """`tags`: int64 (m,), the class number of each mark of `windows`."""

    windows: Windows
    tags: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tagged:
    """What the model made of a sentence: valid BIO tags, and the probability of each token's most probable tag (nan
    for a token that the tokenizer drops)."""

    tags: Tags
    sure: npt.NDArray[np.float64]

    @property
    def confidence(self) -> float:
        """The mean of the probabilities; 1 where there is nothing to tag."""
        seen = self.sure[~np.isnan(self.sure)]
        return float(seen.mean()) if len(seen) else 1.0


class Tagging(HeadTask):
    free_half = FreeHalf()

    def load(self, folder: Path, keep_head: bool) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        model, tokenizer = load_classifier(
            folder,
            self.labels,
            self.spec.seed,
            keep_head,
            auto=AutoModelForTokenClassification,
            problem=None,
        )
        require_offsets(tokenizer)
        return model, tokenizer

    def encode(self, tokenizer: "PreTrainedTokenizerBase", examples: Examples, progress: Tell) -> Part:
        assert self.spec.max_length is not None
        sentences: list[Sentence] = examples["sentence"]
        texts, places = [one.string for one in sentences], [one.places for one in sentences]
        windows = word_windows(tokenizer, texts, places, self.spec.max_length, progress)
        number = {label: index for index, label in enumerate(self.labels)}
        every = np.array([number[tag] for one in sentences for tag in one.tags], dtype=np.int64)
        tags = every[windows.words]
        # White space before a word goes on with the entity that the word goes on with, and begins none.
        begins = np.array([not label.startswith("I-") for label in self.labels])
        tags[windows.gaps & begins[tags]] = number[bio.OUTSIDE]
        return Part(examples, windows.encoded, Truth(windows, tags))

    def objective(self, model: nn.Module, train: Part) -> "WordCrossEntropy":
        weights = None
        if self.spec.class_weights == "balanced":
            weights = balanced(train.truth.tags, len(self.labels))
        return WordCrossEntropy(
            train.truth, pad_id(model), weights, self.spec.label_smoothing, self.device, self.spec.focal_gamma
        )

    def logits(self, model: nn.Module, part: Part) -> evaluate.Floats:
        return word_logits(model, part.truth.windows, EVAL_BATCH, self.device)

    def judged(self, logits: evaluate.Floats, part: Part) -> dict[str, float]:
        loss = evaluate.scores(logits, part.truth.tags)["loss"]
        predicted = [one.tags for one in tagged(logits, part.truth.windows, self.labels)]
        return {
            "loss": loss,
            **entity_scores([one.tags for one in part.examples["sentence"]], predicted),
        }

    def figures(
        self, chosen_on: evaluate.Floats, validation: Part, logits: evaluate.Floats, test: Part
    ) -> dict[str, float]:
        predicted = [one.tags for one in tagged(logits, test.truth.windows, self.labels)]
        return self.free_half.metrics([one.tags for one in test.examples["sentence"]], predicted)

    def marks(self, part: Part, rows: Rows) -> tuple[Rows, Rows, Rows]:
        windows: Windows = part.truth.windows
        return windows.marks(rows)

    def measure(self, model: nn.Module, train: Part, validation: Part, test: Part) -> Outcome:
        windows = test.truth.windows
        found = list(tagged(self.logits(model, test), windows, self.labels))
        sentences: list[Sentence] = test.examples["sentence"]
        truth, predicted = [one.tags for one in sentences], [one.tags for one in found]
        guess = most_frequent(train.examples["sentence"], sentences)
        results = self.free_half.results(truth, predicted)
        results["notes"] += self._notes(model, test)
        return Outcome(
            metrics=self.free_half.metrics(truth, predicted),
            baselines={"majority": self.free_half.metrics(truth, guess)},
            results=results,
            predictions=[
                prediction(row_id, sentence, one)
                for row_id, sentence, one in zip(test.examples.row_ids, sentences, found, strict=True)
            ],
        )

    def _notes(self, model: nn.Module, test: Part) -> list[str]:
        windows: Windows = test.truth.windows
        notes = []
        if windows.long:
            notes.append(
                f"{windows.long:,} of {len(test.examples):,} sentences are longer than {self.spec.max_length} tokens: they "
                "are read in overlapping windows, so every token has a tag."
            )
        if lost := int(windows.sentences[-1] - (~windows.gaps).sum()):
            notes.append(
                f"{lost:,} tokens are signs that the model's tokenizer drops; they count as not seen."
            )
        config: Any = model.config
        if is_decoder(config.model_type):
            notes.append(
                "This model reads from left to right: for a word's tag it sees what stands before, not what follows. "
                "An encoder sees both."
            )
        return notes

    def advice(self, loss: float, train: Part, best: dict[str, float]) -> str | None:
        if not best or best["f1"] > 0:
            return None
        spec = self.spec
        assert spec.learning_rate is not None
        if not (spec.class_weights or spec.label_smoothing or spec.focal_gamma):
            guessing = entropy(np.bincount(train.truth.tags) / len(train.truth.tags))
            if said := stalled(loss, guessing, "guessing by frequency", spec.learning_rate):
                return said
        return (
            "The model has not found one whole entity of the validation part yet. Try more epochs or more rows; while "
            "there are few steps, a smaller batch size gives more of them."
        )

    @classmethod
    def open(cls, folder: Path, spec: RunSpec) -> tuple[Any, Any]:
        return open_folder(folder, AutoModelForTokenClassification)

    @classmethod
    def answer(cls, model: Any, tokenizer: Any, spec: RunSpec, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """{"tokens", "tags", "entities": [{"start", "end", "label", "score"}]} for each text or list of tokens, in order.

        A text is cut into words (app.tasks.words); start and end are its code points. Those of a list of tokens count in
        the tokens joined by single spaces. score: the mean of the probabilities of the entity's tags.
        """
        assert spec.max_length is not None
        sentences = [
            words_in(one) if isinstance(one, str) else Sentence(one, [bio.OUTSIDE] * len(one))
            for one in inputs
        ]
        # A model that learned from tokens has read them with spaces between; it reads a text's words the same way.
        shapes = (
            sentences if "spans" in spec.columns else [Sentence(one.tokens, one.tags) for one in sentences]
        )
        windows = word_windows(
            tokenizer, [one.string for one in shapes], [one.places for one in shapes], spec.max_length
        )
        names = [model.config.id2label[index] for index in range(model.config.num_labels)]
        found = tagged(word_logits(model, windows, ANSWER_BATCH, model.device), windows, names)
        return [_answer(sentence, one) for sentence, one in zip(sentences, found, strict=True)]


class WordCrossEntropy(CrossEntropy):
    """The objective: cross-entropy of the tags at the marks, summed, over the mean number of marks of a window (with class
    weights: the mean sum of theirs).

    A step's own number of marks would not do: with the mean of each batch a tag among short sentences would count more than
    one among long.
    """

    by_tokens = True

    def __init__(
        self,
        truth: Truth,
        padding: int,
        class_weights: tuple[float, ...] | None = None,
        label_smoothing: float = 0.0,
        device: torch.device | None = None,
        focal_gamma: float | None = None,
    ) -> None:
        self.windows, self.tags = truth.windows, truth.tags
        encoded = truth.windows.encoded
        super().__init__(encoded, truth.tags, padding, class_weights, label_smoothing, device, focal_gamma)
        each = np.ones(len(self.tags)) if class_weights is None else np.asarray(class_weights)[self.tags]
        sums = np.concatenate([[0.0], np.cumsum(each)])
        self.mean_weight = float(np.diff(sums[self.windows.bounds]).mean())

    def weight(self, rows: Rows) -> float:
        return len(rows) * self.mean_weight

    def batch(self, rows: Rows, device: torch.device) -> dict[str, Tensor]:
        lines, columns, marks = self.windows.marks(rows)
        found = {"lines": lines, "columns": columns, "tags": self.tags[marks]}
        return {
            **collate(self.data, rows, self.padding, device),
            **{name: torch.from_numpy(values).to(device) for name, values in found.items()},
        }

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        lines, columns, tags = (batch.pop(name) for name in ("lines", "columns", "tags"))
        return self.each(model(**batch).logits[lines, columns].float(), tags).sum()


def tagged(logits: npt.NDArray[np.float32], windows: Windows, names: Sequence[str]) -> Iterator[Tagged]:
    """Each sentence's tags out of the logits (m, classes) of its marks: the most probable tag of each word, put
    right where it can't stand, just as a pipeline of transformers reads them."""
    words = int(windows.sentences[-1])
    best: list[str | None] = [None] * words
    sure = np.full(words, np.nan)
    seen = windows.words[~windows.gaps]
    if len(seen):
        logits = logits[~windows.gaps]
        sure[seen] = evaluate.softmax(logits).max(axis=1)
        for word, index in zip(seen.tolist(), logits.argmax(axis=1).tolist(), strict=True):
            best[word] = names[index]
    for begin, end in zip(windows.sentences[:-1].tolist(), windows.sentences[1:].tolist(), strict=True):
        yield Tagged(bio.repaired(best[begin:end]), sure[begin:end])


def entity_scores(truth: Sequence[Tags], predicted: Sequence[Tags]) -> dict[str, float]:
    """precision, recall and f1 of whole entities of valid BIO tags, as seqeval's strict ones; 0 without any."""
    right = true = found = 0
    for theirs, ours in zip(truth, predicted, strict=True):
        wanted, got = set(bio.entities(theirs)), set(bio.entities(ours))
        right, true, found = right + len(wanted & got), true + len(wanted), found + len(got)
    return {
        "precision": right / max(found, 1),
        "recall": right / max(true, 1),
        "f1": 2 * right / max(true + found, 1),
    }


def most_frequent(train: Sequence[Sentence], sentences: Sequence[Sentence]) -> list[Tags]:
    """The baseline: each word gets the tag that it has most often in training, an unknown one O."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
            seen[token][tag] += 1
    known = {token: min(tags, key=lambda tag: (-tags[tag], tag)) for token, tags in seen.items()}
    return [bio.repaired(known.get(token, bio.OUTSIDE) for token in one.tokens) for one in sentences]


def prediction(row_id: int, sentence: Sentence, found: Tagged) -> Prediction:
    """Most missed and spurious entities first, of equal ones the surest; then what is right with the least confidence."""
    true, ours = bio.entities(sentence.tags), bio.entities(found.tags)
    mistakes = len(set(true) ^ set(ours))
    detail: dict[str, Any] = {"tokens": sentence.tokens, "true": true, "predicted": ours}
    if sentence.text is not None:
        places = sentence.places
        detail = {"text": sentence.text, "characters": True}
        for name, several in (("true", true), ("predicted", ours)):
            detail[name] = [
                (places[first][0], places[behind - 1][1], kind) for first, behind, kind in several
            ]
    return Prediction(
        row_id=row_id,
        text=sentence.string,
        truth=shown(sentence.tokens, sentence.tags),
        predicted=shown(sentence.tokens, found.tags),
        wrong=mistakes > 0,
        badness=mistakes + 0.999 * found.confidence if mistakes else -found.confidence,
        classes=tuple(sorted({kind for _, _, kind in (*true, *ours)})),
        detail=detail,
    )


def _answer(sentence: Sentence, found: Tagged) -> dict[str, Any]:
    places = sentence.places
    entities = [
        {
            "start": places[first][0],
            "end": places[behind - 1][1],
            "label": kind,
            "score": float(np.nanmean(found.sure[first:behind])),
        }
        for first, behind, kind in bio.entities(found.tags)
    ]
    return {"tokens": list(sentence.tokens), "tags": found.tags, "entities": entities}
