"""Which entities are likely wrong, missing or too many: by what models say of each word that have not seen its tag.

Two logistic regressions on what a frozen model says of the words (worker/frozen_words.py) and one on the words, their parts and their
neighbours, cross-fitted as in worker/wrong_labels.py; equal sentences share a fold. The most probable tags that can stand together are compared
with those that there are: entities in which the two differ are doubted. A sentence stands by its worst word, as far as it is in one of
them (Wang & Mueller 2022, "Detecting Label Errors in Token Classification Data", found that best of many ways to score a sentence).

`benchmarks/wrong_tags.py` says how well it does. The starter read 3,200 descriptions in which 94 of the 1,885 sentences with entities had got
a wrong one: 52 to 56 % of the first 50 had it. Of the entities that were added four fifths are among the first 100, of those with another
type a quarter, of those that were taken away almost none: where a name is missing, no word is improbable enough.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction import FeatureHasher

from app.datasets import bio
from app.tasks.sentences import Sentence
from worker import wrong_labels
from worker.baselines import Labels, Probabilities
from worker.frozen_words import Vectors
from worker.wrong_labels import FLOOR, Judge

# Inverse regularisation of the regression on words, and of that on vectors that have variance 1.
WORDS_STRENGTH, STRENGTH = 1.0, 0.01
TOLERANCE = 1e-3
HASHES, HASHES_TIMES_CLASSES = 2**16, 2_000_000


@dataclass(frozen=True)
class Doubted:
    """The part of a sentence that is doubted most: its words first … behind, the entities there as they are and as they are
    suggested. `p_tags`, `p_suggested`: what speaks for the tag of its worst word, and for the one it would have."""

    sentence: int
    first: int
    behind: int
    entities: list[bio.Entity]
    suggested: list[bio.Entity]
    p_tags: float
    p_suggested: float


def numbered(sentences: Sequence[Sentence], names: Sequence[str]) -> Labels:
    """The tag of each word of all sentences as its place in `names`."""
    number = {name: at for at, name in enumerate(names)}
    return np.array([number[tag] for one in sentences for tag in one.tags], dtype=np.int64)


def folds(groups: Sequence[str], sentences: Sequence[Sentence]) -> Labels:
    """The fold of each word: that of its sentence, dealt by the first of its types."""
    types = sorted({kind for one in sentences for kind in one.types})
    strata = np.array([types.index(one.types[0]) if one.types else len(types) for one in sentences])
    return np.repeat(wrong_labels.dealt(groups, strata), [len(one.tokens) for one in sentences])


def by_words(sentences: Sequence[Sentence], tags: Labels, classes: int) -> Judge:
    """A logistic regression on each word, its shape, its ends and what stands beside it."""
    size = 2 ** int(math.log2(min(HASHES, HASHES_TIMES_CLASSES / classes)))
    hasher = FeatureHasher(size, input_type="string", alternate_sign=False)
    features = hasher.transform(
        about(one.tokens, place) for one in sentences for place in range(len(one.tokens))
    )
    return wrong_labels.by_regression(features, tags, classes, WORDS_STRENGTH, TOLERANCE)


def by_vectors(vectors: Vectors, tags: Labels, classes: int) -> Judge:
    """A logistic regression on what a frozen model says of each word, (words, width)."""
    full = vectors.astype(np.float32)
    scaled = (full - full.mean(axis=0)) / np.maximum(full.std(axis=0), 1e-6)
    return wrong_labels.by_regression(scaled, tags, classes, STRENGTH, TOLERANCE)


def about(tokens: Sequence[str], place: int) -> list[str]:
    """What a linear model is told of a word, as for a conditional random field (Lafferty et al. 2001)."""

    def at(other: int) -> str:
        return tokens[other] if 0 <= other < len(tokens) else ""

    word, low = tokens[place], tokens[place].lower()
    before, behind = at(place - 1).lower(), at(place + 1).lower()
    return [
        f"word {word}",
        f"low {low}",
        f"shape {_shape(word)}",
        f"begins {low[:3]}",
        f"ends {low[-3:]}",
        f"ends {low[-2:]}",
        f"before {before}",
        f"behind {behind}",
        f"two before {at(place - 2).lower()}",
        f"two behind {at(place + 2).lower()}",
        f"before and {before} {low}",
        f"behind and {low} {behind}",
        f"shapes {_shape(at(place - 1))} {_shape(word)} {_shape(at(place + 1))}",
    ]


def likely_wrong(
    probabilities: Probabilities, sentences: Sequence[Sentence], names: Sequence[str]
) -> tuple[list[Doubted], int]:
    """The sentences of which an entity is doubted, the likeliest wrong first, each with what is doubted most, and how many are
    wrong by an estimate: those in which another tag is as probable as it usually is where it stands. `probabilities`: (words, tags)."""
    tags = numbered(sentences, names)
    own = probabilities[np.arange(len(tags)), tags]
    counts = np.bincount(tags, minlength=len(names))
    usual = np.bincount(tags, weights=own, minlength=len(names)) / np.maximum(counts, 1)
    usual = np.where(counts > 0, np.maximum(usual, FLOOR), np.inf)
    logs = np.log(np.maximum(probabilities, FLOOR))
    found, likely, begin = [], 0, 0
    for number, sentence in enumerate(sentences):
        end = begin + len(sentence.tokens)
        best = most_probable(logs[begin:end], names)
        chances = probabilities[np.arange(begin, end), best]
        suggested = [names[at] for at in best]
        parts = differing(sentence.tags, suggested)
        if parts:
            first, behind = min(parts, key=lambda part: own[begin + part[0] : begin + part[1]].min())
            worst = first + int(own[begin + first : begin + behind].argmin())
            there = [
                [one for one in bio.entities(some) if first <= one[0] and one[1] <= behind]
                for some in (sentence.tags, suggested)
            ]
            chance = float(chances[worst])
            found.append(
                Doubted(number, first, behind, there[0], there[1], float(own[begin + worst]), chance)
            )
            likely += bool(chance >= usual[best[worst]] and best[worst] != tags[begin + worst])
        begin = end
    return sorted(found, key=lambda one: one.p_tags), likely


def most_probable(logs: npt.NDArray[np.float64], names: Sequence[str]) -> Labels:
    """The most probable tags that can stand together (Viterbi): an I- goes on with what its type began. `logs`: (words, tags)."""
    place = {name: at for at, name in enumerate(names)}
    inside = [at for at, name in enumerate(names) if name.startswith("I-")]
    begins = [place[f"B-{names[at][2:]}"] for at in inside]
    if not len(logs):
        return np.zeros(0, np.int64)
    score = logs[0].copy()
    score[inside] = -np.inf
    back = np.zeros(logs.shape, np.int64)
    for word in range(1, len(logs)):
        back[word] = score.argmax()
        reached = np.full(len(names), score.max())
        goes_on = score[inside] > score[begins]
        back[word, inside] = np.where(goes_on, inside, begins)
        reached[inside] = np.where(goes_on, score[inside], score[begins])
        score = reached + logs[word]
    found = [int(score.argmax())]
    for word in range(len(logs) - 1, 0, -1):
        found.append(int(back[word, found[-1]]))
    return np.array(found[::-1], dtype=np.int64)


def differing(tags: Sequence[str], others: Sequence[str]) -> list[tuple[int, int]]:
    """The parts of a sentence in which its entities differ: words first … behind; entities that overlap share one."""
    parts: list[tuple[int, int]] = []
    for first, behind, _ in sorted(set(bio.entities(tags)) ^ set(bio.entities(others))):
        if parts and first < parts[-1][1]:
            parts[-1] = (parts[-1][0], max(parts[-1][1], behind))
        else:
            parts.append((first, behind))
    return parts


def _shape(word: str) -> str:
    """ "Xx" for a capitalised word, "dX" for 5G: runs of like signs are one."""
    shape = ""
    for sign in word:
        kind = "X" if sign.isupper() else "x" if sign.isalpha() else "d" if sign.isdigit() else sign
        if not shape.endswith(kind):
            shape += kind
    return shape
