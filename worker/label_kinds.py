"""What a search for wrong labels has to know of them: rows that have one label each, several or none, or a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.datasets.lists import SEPARATOR
from app.tasks.score import in_cell
from worker import wrong_label_sets, wrong_labels, wrong_scores
from worker.baselines import Labels, Numbers, Probabilities, Texts
from worker.wrong_labels import Features, Judge


@dataclass(frozen=True)
class Doubt:
    """A row whose label is doubted, with the fields of app.tasks.suspects.Suspect that say how."""

    row: int
    label: str
    suggested: str
    p_label: float | None
    p_suggested: float | None
    about: str = ""
    off: float | None = None


class Kind(Protocol):
    """`strata`: (rows,), by which the rows are dealt into folds. `outputs`: how many numbers an opinion has of a row.
    `surprise_is`: what it is called."""

    strata: Labels
    outputs: int
    surprise_is: str

    def by_words(self, texts: Texts) -> Judge: ...

    def by_features(self, features: Features) -> Judge: ...

    def together(
        self, several: Sequence[Probabilities], rows: npt.NDArray[np.bool_] | None = None
    ) -> Probabilities:
        """Several opinions as one. `rows`: of which they are, where not of all."""
        ...

    def answered(self, output: Mapping[str, Any]) -> list[float]:
        """The opinion that a model's answer holds."""
        ...

    def surprise(self, probabilities: Probabilities) -> float:
        """How little they say of the labels that there are."""
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
        self.outputs, self.surprise_is = len(names), "log loss"

    def by_words(self, texts: Texts) -> Judge:
        return wrong_labels.by_words(texts, self.labels, len(self.names))

    def by_features(self, features: Features) -> Judge:
        return wrong_labels.by_features(features, self.labels, len(self.names))

    def together(
        self, several: Sequence[Probabilities], rows: npt.NDArray[np.bool_] | None = None
    ) -> Probabilities:
        return wrong_labels.together(several)

    def answered(self, output: Mapping[str, Any]) -> list[float]:
        return [output["probabilities"].get(name, 0.0) for name in self.names]

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
        self.outputs, self.surprise_is = len(names), "log loss"

    def by_words(self, texts: Texts) -> Judge:
        return wrong_label_sets.by_words(texts, self.truth)

    def by_features(self, features: Features) -> Judge:
        return wrong_label_sets.by_features(features, self.truth)

    def together(
        self, several: Sequence[Probabilities], rows: npt.NDArray[np.bool_] | None = None
    ) -> Probabilities:
        return wrong_label_sets.together(several)

    def answered(self, output: Mapping[str, Any]) -> list[float]:
        return [output["probabilities"].get(name, 0.0) for name in self.names]

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


class Number:
    """Each row has a number. `written`: how it stands in the file; `commas`: whether all have decimal commas there."""

    strata: Labels
    outputs, surprise_is = 1, "mean squared error"

    def __init__(self, scores: Sequence[float], written: Sequence[str], commas: bool) -> None:
        self.scores = np.array(scores, dtype=np.float64)
        self.written, self.commas = written, commas
        self.strata = wrong_scores.strata(self.scores)

    def by_words(self, texts: Texts) -> Judge:
        return wrong_scores.by_words(texts, self.scores)

    def by_features(self, features: Features) -> Judge:
        return wrong_scores.by_features(features, self.scores)

    def together(
        self, several: Sequence[Probabilities], rows: npt.NDArray[np.bool_] | None = None
    ) -> Probabilities:
        return wrong_scores.together(several, self.scores if rows is None else self.scores[rows])

    def answered(self, output: Mapping[str, Any]) -> list[float]:
        return [output["value"]]

    def surprise(self, probabilities: Probabilities) -> float:
        return float(np.square(probabilities[:, 0] - self.scores).mean())

    def doubts(self, probabilities: Probabilities, most: int) -> tuple[list[Doubt], int]:
        predicted: Numbers = probabilities[:, 0]
        found = wrong_scores.likely_wrong(predicted, self.scores)
        usual = float(np.median(np.abs(predicted - self.scores)))
        doubts = []
        for row in found.rows[:most].tolist():
            number = wrong_scores.rounded(float(predicted[row]), self.scores, usual)
            if number != self.scores[row]:
                suggested = in_cell(number, self.commas)
                doubts.append(Doubt(row, self.written[row], suggested, None, None, off=float(found.off[row])))
        return doubts, found.likely


def _surprise(own: Probabilities) -> float:
    return float(-np.log(np.maximum(own, wrong_labels.FLOOR)).mean())


def kind_of(several: bool, labels: Sequence[Any], names: list[str]) -> Kind:
    """`labels`: a label, or a list of them, of each row."""
    return Several(labels, names) if several else One(labels, names)
