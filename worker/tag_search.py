"""The search for wrong labels where they are entities: as worker/label_search.py has it of whole texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.errors import HeadstartError
from app.core.spec import RunSpec
from app.datasets import bio
from app.datasets.split import normalised
from app.tasks import task
from app.tasks.examples import Examples
from app.tasks.sentences import Sentence
from app.tasks.suspects import MOST_WORDS, Suspect
from app.tasks.tag_cells import Style, style_of, with_spans, with_tags
from app.tasks.tagging import shown
from worker import evaluate, wrong_labels, wrong_tags
from worker.baselines import Probabilities
from worker.frozen_means import TooSlow
from worker.frozen_words import Vectors, frozen_words
from worker.tagging import word_logits, word_windows

WORDS_TIMES_TAGS = 10_000_000  # that are looked at: so much memory the opinions take
OWN_BATCH = 32

Tell = Callable[[float], None]
Telling = Callable[[str, tuple[float, float]], Tell]


@dataclass(frozen=True)
class Asked:
    """`cells`: of the column of entities, by row id. `folder`: of the model that reads, None for none; `own`: of the run's model."""

    spec: RunSpec
    cells: Mapping[int, str]
    folder: Path | None
    own: Path | None
    most_seconds: float


@dataclass(frozen=True)
class Answer:
    """`looked_at`: sentences. `read`: whether the model read them, `judged`: whether the run's own did; `notes`: what was left out."""

    suspects: list[Suspect]
    likely: int
    looked_at: int
    read: bool
    judged: bool
    notes: list[str]


def search(asked: Asked, examples: Examples, telling: Telling, most_kept: int) -> Answer:
    """`telling(phase, share of the whole from … to)` begins a part and returns what tells its progress. Raises HeadstartError."""
    names = task(asked.spec.task).labels(examples)
    rows = len(examples)
    examples = _some(examples, min(MOST_WORDS, WORDS_TIMES_TAGS // len(names)))
    notes = []
    if len(examples) < rows:
        notes.append(f"Of {rows:,} sentences {len(examples):,} were looked at, drawn at random.")
    sentences: list[Sentence] = examples["sentence"]
    tags = wrong_tags.numbered(sentences, names)
    fold_of = wrong_tags.folds([normalised(one.string) for one in sentences], sentences)
    judge = wrong_tags.by_words(sentences, tags, len(names))
    tell = telling("comparing words", (0.0, 0.2))
    opinions = [wrong_labels.cross_fitted(judge, fold_of, len(names), tell)]
    vectors = _vectors(asked, sentences, telling("reading the sentences", (0.2, 0.7)), notes)
    for at, layer in enumerate([] if vectors is None else vectors):
        here = (0.7 + 0.1 * at, 0.8 + 0.1 * at)
        tell = telling("learning from what the pre-trained model says", here)
        judge = wrong_tags.by_vectors(layer, tags, len(names))
        opinions.append(wrong_labels.cross_fitted(judge, fold_of, len(names), tell))
    probabilities = wrong_labels.together(opinions)
    if asked.own is not None:
        telling("asking the run’s own model", (0.9, 1.0))
        held = [row for row, part in enumerate(examples.parts) if part != "train"]
        counts = [len(one.tokens) for one in sentences]
        words = np.repeat(np.array([part != "train" for part in examples.parts]), counts)
        own = _own(asked, asked.own, [sentences[row] for row in held], names)
        seen = own.sum(axis=1) > 0
        words[words] = seen
        probabilities[words] = wrong_labels.together([*(one[words] for one in opinions), own[seen]])
    doubts, likely = wrong_tags.likely_wrong(probabilities, sentences, names)
    style = Style() if "spans" in asked.spec.columns else style_of(asked.cells.values())
    kept = [_suspect(asked, examples, one, style) for one in doubts[:most_kept]]
    return Answer(kept, likely, len(examples), vectors is not None, asked.own is not None, notes)


def _vectors(asked: Asked, sentences: list[Sentence], tell: Tell, notes: list[str]) -> Vectors | None:
    assert asked.spec.max_length is not None
    if asked.folder is None:
        return None
    try:
        return frozen_words(asked.folder, sentences, asked.spec.max_length, asked.most_seconds, tell)
    except TooSlow as slow:
        notes.append(
            f"The pre-trained model would read these sentences for about {slow.seconds / 60:,.0f} minutes, so only their words "
            "were compared."
        )
    except HeadstartError as error:
        notes.append(
            f"The pre-trained model could not be asked, so only words were compared: {error.message}"
        )
    return None


def _own(asked: Asked, folder: Path, sentences: list[Sentence], names: list[str]) -> Probabilities:
    """What the run's model says of each word, (words, tags); zeros for a word that its tokenizer drops."""
    from worker.tasks import torch_task

    assert asked.spec.max_length is not None
    model, tokenizer = torch_task(asked.spec.task).open(folder, asked.spec)
    windows = word_windows(
        tokenizer, [one.string for one in sentences], [one.places for one in sentences], asked.spec.max_length
    )
    logits = word_logits(model, windows, OWN_BATCH, model.device)[~windows.gaps]
    said: Any = evaluate.softmax(logits)
    found = np.zeros((int(windows.sentences[-1]), len(names)))
    place = {name: at for at, name in enumerate(names)}
    of_model = [model.config.id2label[at] for at in range(model.config.num_labels)]
    ours: npt.NDArray[np.int64] = np.array([place[name] for name in of_model])
    found[np.ix_(windows.words[~windows.gaps], ours)] = said
    return found


def _some(examples: Examples, words: int) -> Examples:
    """As many sentences, drawn at random, as have that many words together."""
    counts = np.array([len(one.tokens) for one in examples["sentence"]])
    if counts.sum() <= words:
        return examples
    order = np.random.default_rng(0).permutation(len(counts))
    return examples.only(np.sort(order[np.cumsum(counts[order]) <= words]).tolist())


def _suspect(asked: Asked, examples: Examples, doubt: wrong_tags.Doubted, style: Style) -> Suspect:
    row, sentence = examples.row_ids[doubt.sentence], examples["sentence"][doubt.sentence]
    cell, places = asked.cells[row].strip(), sentence.places
    if "spans" in asked.spec.columns:
        written = with_spans(cell, sentence, doubt.first, doubt.behind, doubt.suggested)
    else:
        written = with_tags(cell, doubt.first, doubt.behind, doubt.suggested, style)

    def spans(entities: list[bio.Entity]) -> list[tuple[int, int, str]]:
        return [(places[first][0], places[behind - 1][1], kind) for first, behind, kind in entities]

    def words(entities: list[bio.Entity]) -> str:
        return shown(sentence.tokens, bio.tags_of(entities, len(sentence.tokens)))

    others = [one for one in bio.entities(sentence.tags) if one not in doubt.entities]
    return Suspect(
        row_id=row,
        part=examples.parts[doubt.sentence],
        text=sentence.string,
        label=cell,
        suggested=written,
        p_label=doubt.p_tags,
        p_suggested=doubt.p_suggested,
        entities={
            "now": {"words": words(doubt.entities), "spans": spans(doubt.entities)},
            "suggested": {"words": words(doubt.suggested), "spans": spans(doubt.suggested)},
            "others": spans(others),
        },
    )
