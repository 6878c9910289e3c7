"""Which labels are likely missing or too many, where a text may have several: by what models say of a row that have not seen it, each
label for itself.

A label that few texts have is improbable for every model, also where it is right. So a probability is compared with what is usual for
its label, among the texts that have it or those that have not; how many are wrong is told by those for which the other state is as
probable as it usually is (confident learning, as in worker/wrong_labels.py, for each label). The two kinds, too many and missing, are
each in their own order and share the list by their number: a missing label is never as improbable as a false one.

`benchmarks/wrong_label_sets.py` says how well it does.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from worker import baselines
from worker.baselines import Flags, Labels, Probabilities, Texts
from worker.wrong_labels import FLOOR, ITERATIONS, STRENGTH, WORDS_STRENGTH, Features, Judge


@dataclass(frozen=True)
class FoundLabels:
    """Rows, of each the one label that is doubted most, as an index; whether the row has it is its own. `likely`: how many rows have
    a wrong label, by an estimate."""

    rows: Labels
    labels: Labels
    likely: int


def by_words(texts: Texts, truth: Flags) -> Judge:
    """TF-IDF and a logistic regression for each label. `truth`: (rows, labels)."""

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        learn = learn[baselines.sampled(len(learn), truth.shape[1], 0)]
        features = baselines.Features([texts[row] for row in learn], truth.shape[1])
        if features.nothing:
            return np.tile(truth[learn].mean(axis=0), (len(asked), 1))
        inputs = features.of([texts[row] for row in asked])
        return _each(features.training, truth[learn], inputs, WORDS_STRENGTH, "liblinear")

    return judge


def by_features(features: Features, truth: Flags, strength: float = STRENGTH) -> Judge:
    """A logistic regression for each label on what a frozen model says of the texts."""
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        learn = learn[baselines.sampled(len(learn), truth.shape[1], 0)]
        return _each(scaled[learn], truth[learn], scaled[asked], strength, "lbfgs")

    return judge


def together(several: Sequence[Probabilities]) -> Probabilities:
    """Several opinions as one: the mean of their log odds."""
    clipped = [np.clip(one, FLOOR, 1 - FLOOR) for one in several]
    odds = np.mean([np.log(one / (1 - one)) for one in clipped], axis=0)
    result: Probabilities = 1 / (1 + np.exp(-odds))
    return result


def rarest(truth: Flags) -> Labels:
    """Of each row its rarest label, by which rows are dealt into folds; as many as there are labels for a row without any."""
    counts = np.append(truth.sum(axis=0), 0)
    bare = ~truth.any(axis=1, keepdims=True)
    found: Labels = np.where(np.hstack([truth, bare]), counts, np.iinfo(np.int64).max).argmin(axis=1)
    return found


def likely_wrong(probabilities: Probabilities, truth: Flags) -> FoundLabels:
    """The rows of which a label is doubted, (rows, labels) each."""
    own = np.where(truth, probabilities, 1 - probabilities)
    usual, other = np.full((2, truth.shape[1]), 0.5), np.full((2, truth.shape[1]), 1.0)
    for has in (0, 1):
        flags = truth == bool(has)
        counts = flags.sum(axis=0)
        mean = (own * flags).sum(axis=0) / np.maximum(counts, 1)
        usual[has] = np.where(counts > 0, np.maximum(mean, FLOOR), 0.5)
        other[1 - has] = np.where(counts > 0, usual[has], 1.0)
    places = truth.astype(np.int64)
    # Its own state against the usual of those that share it; the other state as probable as among those that have that.
    doubt = np.log(np.maximum(own, FLOOR)) - np.log(np.take_along_axis(usual, places, axis=0))
    crossed = (1 - own >= np.take_along_axis(other, places, axis=0)) & (own < 0.5)
    parts, likely = [], 0
    for kind in (True, False):
        masked = np.where((truth == kind) & (own < 0.5) & (doubt < 0), doubt, np.inf)
        worst = masked.argmin(axis=1)
        value = masked[np.arange(len(truth)), worst]
        rows = np.argsort(value, kind="stable")[: int(np.isfinite(value).sum())]
        count = int((crossed & (truth == kind)).any(axis=1).sum())
        likely += count
        parts.append((rows, worst[rows], (np.arange(len(rows)) + 0.5) / max(count, 1)))
    rows, labels, keys = (np.concatenate(several) for several in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    _, first = np.unique(rows[order], return_index=True)  # a row once, with what is doubted most
    order = order[np.sort(first)]
    return FoundLabels(rows[order], labels[order], min(likely, len(order)))


def _each(
    inputs: npt.NDArray[np.float32],
    truth: Flags,
    asked: npt.NDArray[np.float32],
    strength: float,
    solver: str,
) -> Probabilities:
    found: Probabilities = np.tile(truth.mean(axis=0), (asked.shape[0], 1))
    for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        model = LogisticRegression(C=strength, max_iter=ITERATIONS, solver=solver)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs, truth[:, label])
        found[:, label] = model.predict_proba(asked)[:, 1]
    return found
