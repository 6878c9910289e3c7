"""Which labels are likely wrong: by what models say of a row that have not seen it.

Confident learning (Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"), after cross-fitting: the
rows are dealt into folds, and each fold is judged by models that learned from the others. What they doubt most stands first; how many
are likely wrong is told by those for which another label is as probable as it is, on average, for the rows that have it.
Equal texts share a fold: a copy would tell what a model must not know.

`benchmarks/wrong_labels.py` says how well it does, with words alone, with what a frozen model says, with one layer of it and with several.
Of 1,200 reviews with 60 wrong labels about half of the first 50 are wrong ones where the starter reads them, four fifths where MPNet
does (worker/readers.py chooses; of 1,060 descriptions in five classes 92 and 94 %). None of these changed that by more than the draw of the rows does: ten folds,
four deals of five, other strengths, characters, layers side by side, weights or temperatures by log loss, a second round without what
was doubted most, and, in one draw, two layers tuned in each fold (minutes, not seconds).
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from worker import baselines
from worker.baselines import Labels, Probabilities, Texts
from worker.seeds import derive

FOLDS = 5
# Inverse regularisation of the regression on words, and of that on features that have variance 1.
WORDS_STRENGTH, STRENGTH = 4.0, 0.003
ITERATIONS = 100
FLOOR = 1e-6

Features = npt.NDArray[np.float32]
# (rows to learn from, rows to judge) → probabilities (judged, classes)
Judge = Callable[[Labels, Labels], Probabilities]
Tell = Callable[[float], None]


@dataclass(frozen=True)
class Found:
    """Rows that another label fits better, what fits their own least first, and that class. `likely`: how many labels are wrong by
    an estimate; the further down, the more rows are merely hard."""

    rows: Labels
    suggested: Labels
    likely: int


def by_words(texts: Texts, labels: Labels, classes: int) -> Judge:
    """TF-IDF and a logistic regression, as the baseline of a run."""

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        return baselines.tfidf(
            [texts[row] for row in learn],
            labels[learn],
            [texts[row] for row in asked],
            classes,
            strength=WORDS_STRENGTH,
        )

    return judge


def by_features(features: Features, labels: Labels, classes: int, strength: float = STRENGTH) -> Judge:
    """A logistic regression on what a frozen model says of the texts."""
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    return by_regression(scaled, labels, classes, strength)


def by_regression(
    inputs: Any, labels: Labels, classes: int, strength: float, tolerance: float = 1e-4
) -> Judge:
    """A logistic regression on `inputs`, (rows, features), dense or sparse."""

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        learn = learn[baselines.sampled(len(learn), classes, 0)]  # a fit takes rows × classes
        found = np.zeros((len(asked), classes))
        present = np.unique(labels[learn])
        if len(present) < 2:
            found[:, present] = 1.0
            return found
        model = LogisticRegression(C=strength, max_iter=ITERATIONS, tol=tolerance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(inputs[learn], labels[learn])
        found[:, present] = model.predict_proba(inputs[asked])
        return found

    return judge


def cross_fitted(judge: Judge, fold_of: Labels, classes: int, tell: Tell = lambda _: None) -> Probabilities:
    """Probabilities (rows, classes), each row's by a model that learned from the other folds. `tell(share done)`."""
    found = np.zeros((len(fold_of), classes))
    folds = np.unique(fold_of)
    for done, fold in enumerate(folds, 1):
        asked = fold_of == fold
        found[asked] = judge(np.flatnonzero(~asked), np.flatnonzero(asked))
        tell(done / len(folds))
    return found


def dealt(groups: Sequence[str], labels: Labels, seed: int = 0, count: int = FOLDS) -> Labels:
    """The fold of each row: rows of one group share it, and each fold gets its share of every label."""
    first: dict[str, int] = {}
    for row, group in enumerate(groups):
        first.setdefault(group, row)
    names = list(first)
    order = np.random.default_rng(derive(seed, "folds")).permutation(len(names))
    by_label = order[np.argsort(labels[[first[names[at]] for at in order]], kind="stable")]
    fold_of_group = {names[at]: place % count for place, at in enumerate(by_label)}
    return np.array([fold_of_group[group] for group in groups], dtype=np.int64)


def together(several: Sequence[Probabilities]) -> Probabilities:
    """Several opinions as one: their geometric mean, so that a single one with doubts is heard."""
    joined = np.exp(np.mean([np.log(np.maximum(one, FLOOR)) for one in several], axis=0))
    result: Probabilities = joined / joined.sum(axis=1, keepdims=True)
    return result


def likely_wrong(probabilities: Probabilities, labels: Labels) -> Found:
    """The rows whose label is doubted. `probabilities`: (rows, classes); `labels`: class indices, (rows,)."""
    classes, places = probabilities.shape[1], np.arange(len(labels))
    own = probabilities[places, labels]
    suggested = probabilities.argmax(axis=1)
    rows = np.flatnonzero(suggested != labels)
    order = np.argsort(own[rows] - probabilities[rows, suggested[rows]], kind="stable")
    counts = np.bincount(labels, minlength=classes)
    usual = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    confident = (probabilities >= np.maximum(usual, FLOOR)) & (counts > 0)
    surest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    likely = int((confident.any(axis=1) & (surest != labels)).sum())
    return Found(rows[order], suggested[rows[order]], likely)
