"""What a search for wrong labels has to know of them: rows that have one label each, and rows that have several or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.tasks.multilabel import SEPARATOR
from worker import wrong_label_sets, wrong_labels
from worker.baselines import Labels, Probabilities, Texts
from worker.wrong_labels import Features, Judge


@dataclass(frozen=True)
class Doubt:
    """A row whose label is doubted, with the fields of app.tasks.suspects.Suspect that say how."""

    row: int
    label: str
    suggested: str
    p_label: float
    p_suggested: float
    about: str = ""


class Kind(Protocol):
    """`strata`: (rows,), by which the rows are dealt into folds."""

    strata: Labels

    def by_words(self, texts: Texts) -> Judge: ...

    def by_features(self, features: Features) -> Judge: ...

    def together(self, several: Sequence[Probabilities]) -> Probabilities: ...

    def surprise(self, probabilities: Probabilities) -> float:
        """How little they say of the labels that there are: the mean of -ln p."""
        ...

    def doubts(self, probabilities: Probabilities, most: int) -> tuple[list[Doubt], int]:
        """The first `most`, the likeliest first, and how many labels are wrong by an estimate."""
        ...


class One:
    """Each row has one label."""

    def __init__(self, labels: Sequence[str], names: list[str]) -> None:
        number = {label: at for at, label in enumerate(names)}
        self.names = names
        self.labels = self.strata = np.array([number[label] for label in labels], dtype=np.int64)
        self.together = wrong_labels.together

    def by_words(self, texts: Texts) -> Judge:
        return wrong_labels.by_words(texts, self.labels, len(self.names))

    def by_features(self, features: Features) -> Judge:
        return wrong_labels.by_features(features, self.labels, len(self.names))

    def surprise(self, probabilities: Probabilities) -> float:
        return _surprise(probabilities[np.arange(len(self.labels)), self.labels])

    def doubts(self, probabilities: Probabilities, most: int) -> tuple[list[Doubt], int]:
        found = wrong_labels.likely_wrong(probabilities, self.labels)
        doubts = []
        for row, there in zip(found.rows[:most].tolist(), found.suggested[:most].tolist(), strict=True):
            here = self.labels[row]
            chances = probabilities[row, [here, there]].tolist()
            doubts.append(Doubt(row, self.names[here], self.names[there], *chances))
        return doubts, found.likely


class Several:
    """A row has any number of labels."""

    def __init__(self, labels: Sequence[Sequence[str]], names: list[str]) -> None:
        number = {label: at for at, label in enumerate(names)}
        self.names = names
        self.truth: npt.NDArray[np.bool_] = np.zeros((len(labels), len(names)), np.bool_)
        for row, some in enumerate(labels):
            self.truth[row, [number[label] for label in some]] = True
        self.strata = wrong_label_sets.rarest(self.truth)
        self.together = wrong_label_sets.together

    def by_words(self, texts: Texts) -> Judge:
        return wrong_label_sets.by_words(texts, self.truth)

    def by_features(self, features: Features) -> Judge:
        return wrong_label_sets.by_features(features, self.truth)

    def surprise(self, probabilities: Probabilities) -> float:
        return _surprise(np.where(self.truth, probabilities, 1 - probabilities))

    def doubts(self, probabilities: Probabilities, most: int) -> tuple[list[Doubt], int]:
        found = wrong_label_sets.likely_wrong(probabilities, self.truth)
        doubts = []
        for row, label in zip(found.rows[:most].tolist(), found.labels[:most].tolist(), strict=True):
            there, turned = self.truth[row], self.truth[row].copy()
            turned[label] = not turned[label]
            chance = float(probabilities[row, label])
            chances = (chance, 1 - chance) if there[label] else (1 - chance, chance)
            doubts.append(
                Doubt(row, self._written(there), self._written(turned), *chances, self.names[label])
            )
        return doubts, found.likely

    def _written(self, flags: npt.NDArray[np.bool_]) -> str:
        return SEPARATOR.join(self.names[at] for at in np.flatnonzero(flags))


def _surprise(own: Probabilities) -> float:
    return float(-np.log(np.maximum(own, wrong_labels.FLOOR)).mean())


def kind_of(several: bool, labels: Sequence[Any], names: list[str]) -> Kind:
    """`labels`: a label, or a list of them, of each row."""
    return Several(labels, names) if several else One(labels, names)
