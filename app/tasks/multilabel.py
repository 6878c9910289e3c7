"""Multi-label classification: any number of labels for each text, none included."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from app.core.errors import Problem
from app.core.spec import RunSpec
from app.datasets import lists
from app.datasets.lists import SEPARATOR
from app.tasks.base import Kept, Metric, Role, Task, column_of, empty_cells, unseen
from app.tasks.classification import MOST_CLASSES, lonely_labels, with_one_text
from app.tasks.examples import Examples, Reading
from app.tasks.long_texts import logits_usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]
    Flags = NDArray[np.bool_]

THRESHOLDS = "headstart_thresholds"  # the field of the download's config.json: {label: threshold}
YES, NO = ("1", "true", "yes", "1.0"), ("0", "false", "no", "0.0")
# Validation rows with the label at which its own threshold counts as much as the common one.
PRIOR = 10
_PIPELINE = """\
from transformers import pipeline

classify = pipeline("text-classification", "{folder}", truncation=True, max_length={length})
thresholds = classify.model.config.headstart_thresholds  # tuned on the validation rows, one for each label
found = classify("A text to classify.", top_k=None)
print([one["label"] for one in found if one["score"] >= thresholds[one["label"]]])
"""
_LOGITS = """\
thresholds = model.config.headstart_thresholds  # tuned on the validation rows, one for each label
probabilities = logits("A text to classify.").sigmoid().tolist()
found = {model.config.id2label[index]: value for index, value in enumerate(probabilities)}
print([label for label, value in found.items() if value >= thresholds[label]])
"""


class Multilabel(Task):
    name = "multilabel"
    title = "Multi-label classification"
    about = "Any number of labels for each text: tags, topics, symptoms."
    torch = "multilabel:Multilabel"
    needs = "multilabel"
    inputs = (
        (
            Role("text"),
            Role(
                "label", hint='a column such as a|b or ["a", "b"], or several columns of 0 and 1', many=True
            ),
        ),
    )
    judged_by = (Metric("micro_f1", "micro F1"), Metric("macro_f1", "macro F1"))
    # All labels of all rows together: a label with three validation rows would make macro F1 jump at random.
    primary = "micro_f1"
    curves = (Metric("micro_f1", "micro F1"), Metric("macro_f1", "macro F1"))
    options = ("class_weights", "truncation", "pooling")
    baselines = (
        ("tfidf", "TF-IDF + logistic regression for each label"),
        ("majority", "the labels of most rows"),
    )
    pipeline = "text-classification"
    labels_a_row = "several"

    def read(self, cells: Callable[[str], list[str]], spec: RunSpec, where: Callable[[int], str]) -> Reading:
        """ "label" as a list of labels, in order, without repetition; [] is a row without any.

        Each row's stratum is its rarest label, so that every part gets rows of each.
        """
        texts = cells(column_of(spec, "text"))
        left_out = empty_cells({"text": texts})
        chosen = spec.columns["label"]
        if isinstance(chosen, str):
            labels = [labels_in(cell) for cell in cells(chosen)]
        else:
            labels = _flagged(cells, chosen, left_out, where)
        counts = Counter(
            label for row, out in zip(labels, left_out, strict=True) if out is None for label in row
        )
        strata = [min(row, key=lambda label: (counts[label], label), default="") for row in labels]
        return Reading({"text": texts, "label": labels}, left_out, strata)

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        counts = Counter(label for row in examples["label"] for label in row)
        problem = _unfit(counts, spec, parted=any(len(row) > 1 for row in examples["label"]))
        if problem is not None:
            return [{"where": "columns.label", "message": problem}]

        def labels_of(row: int) -> Sequence[str]:
            found: list[str] = examples["label"][row]
            return found

        lonely = with_one_text(examples, labels_of)
        if isinstance(spec.columns["label"], list):
            lonely = sorted({*lonely, *(name for name in spec.columns["label"] if name not in counts)})
        return [lonely_labels(lonely)] if lonely else unseen(examples, labels_of)

    def labels(self, examples: Examples) -> list[str]:
        return sorted({label for row in examples["label"] for label in row})

    def goal(self, labels: list[str]) -> str:
        return f"to find which of {len(labels)} labels a text has"

    def describe(self, labels: list[str]) -> str:
        return f"{self.name}, {len(labels)} labels"

    def usage(self, spec: RunSpec, folder: str) -> str:
        if spec.truncation != "end":
            return logits_usage(spec, folder, _LOGITS)
        return _PIPELINE.format(folder=folder, length=spec.max_length)

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        probabilities = {f"p: {label}": value for label, value in output["probabilities"].items()}
        return {"predicted": SEPARATOR.join(output["labels"]), **probabilities}

    def metrics(self, truth: "Flags", predicted: "Flags") -> dict[str, float]:
        """micro_f1, macro_f1 of two bool matrices (n, labels). macro_f1 is the mean over the labels that occur in
        the truth or among the predictions; where there is nothing to find and nothing is found both are 1."""
        return {
            "micro_f1": float(f1(truth.ravel()[:, None], predicted.ravel()[:, None])[0]),
            "macro_f1": _macro(truth, predicted),
        }

    def results(
        self, truth: "Flags", predicted: "Flags", labels: list[str], thresholds: "Matrix"
    ) -> dict[str, Any]:
        """Per label: precision, recall, F1 (0 where nothing is found), support, threshold."""
        hits = (truth & predicted).sum(axis=0)
        support, found = truth.sum(axis=0), predicted.sum(axis=0)
        scores = 2 * hits / (support + found).clip(1)
        per_class = [
            {
                "label": label,
                "precision": float(hits[at] / max(1, found[at])),
                "recall": float(hits[at] / max(1, support[at])),
                "f1": float(scores[at]),
                "support": int(support[at]),
                "threshold": float(thresholds[at]),
            }
            for at, label in enumerate(labels)
        ]
        return {"labels": list(labels), "rows": len(truth), "per_class": per_class}


def f1(truth: "Flags", predicted: "Flags") -> "Matrix":
    """F1 of each column of two bool matrices (n, k): (k,). 1 where nothing is there and nothing is found."""
    import numpy as np

    both = truth.sum(axis=0) + predicted.sum(axis=0)
    scores: Matrix = np.where(both == 0, 1.0, 2 * (truth & predicted).sum(axis=0) / both.clip(1))
    return scores


def tuned(truth: "Flags", probabilities: "Matrix") -> "Matrix":
    """The threshold of each label, (labels,), out of validation rows: bool and probabilities, (n, labels).

    Each label's own is the one of highest F1 (SCut; Yang 2001, "A Study of Thresholding Strategies for Text
    Categorization"). As few rows tell little, it is drawn towards the one that is best for all labels together: on
    the scale of logits it counts n / (n + 10) with n validation rows of the label; the common one is drawn
    towards 0.5 in the same way.
    """
    import numpy as np

    logits = _logit(np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6))
    together = _drawn(truth.ravel(), logits.ravel(), 0.0)
    own = [_drawn(truth[:, at], logits[:, at], together) for at in range(truth.shape[1])]
    thresholds: Matrix = 1 / (1 + np.exp(-np.array(own)))
    return thresholds


def _drawn(truth: "Flags", logits: "Matrix", towards: float) -> float:
    positives = int(truth.sum())
    if not positives:
        return towards
    share = positives / (positives + PRIOR)
    return share * _best_cut(truth, logits, towards) + (1 - share) * towards


def _best_cut(truth: "Flags", logits: "Matrix", near: float) -> float:
    """The threshold of highest F1, halfway between two rows; of equally good ones the nearest to `near`."""
    import numpy as np

    order = np.argsort(-logits, kind="stable")
    ranked = logits[order]
    hits = np.cumsum(truth[order])
    scores = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    last = np.append(ranked[:-1] > ranked[1:], True)  # equal rows can't be told apart
    cuts = (ranked + np.append(ranked[1:], ranked[-1] - 1.0)) / 2
    best = np.flatnonzero(last & (scores >= scores[last].max() - 1e-12))
    return float(cuts[best[np.argmin(np.abs(cuts[best] - near))]])


def _logit(probabilities: "Matrix") -> "Matrix":
    import numpy as np

    found: Matrix = np.log(probabilities / (1 - probabilities))
    return found


def _macro(truth: "Flags", predicted: "Flags") -> float:
    there = truth.any(axis=0) | predicted.any(axis=0)
    return float(f1(truth[:, there], predicted[:, there]).mean()) if there.any() else 1.0


def labels_in(cell: str) -> list[str]:
    """The labels of a cell such as a|b or ["a","b"], in order, without repetition."""
    return sorted(lists.labels_in(cell))


def with_label(cell: str, label: str, there: bool) -> str:
    """The cell with the label, behind the others, or without it; else as it is written."""
    labels = lists.labels_in(cell)
    if there == (label in labels):
        return cell
    if lists.values_in(cell) is not None:
        return lists.with_labels(cell, [*labels, label] if there else [one for one in labels if one != label])
    if there:
        return f"{cell}{SEPARATOR}{label}" if cell.strip() else label
    return SEPARATOR.join(part for part in cell.split(SEPARATOR) if part.strip() != label)


def with_flag(cell: str, there: bool) -> str:
    """The cell of a column that says yes or no, saying the other in the same words, if it does not say so yet."""
    said = cell.strip()
    if there == (said.casefold() in YES):
        return cell
    pairs = dict(zip(NO, YES, strict=True) if there else zip(YES, NO, strict=True))
    turned = pairs.get(said.casefold(), YES[0] if there else NO[0])
    return turned.upper() if said.isupper() else turned.title() if said.istitle() else turned


def _flagged(
    cells: Callable[[str], list[str]],
    columns: list[str],
    left_out: list[str | None],
    where: Callable[[int], str],
) -> list[list[str]]:
    """The columns that say yes, row by row. Raises Invalid with every cell that says neither yes nor no."""
    faults = Kept(where)
    labels: list[list[str]] = [[] for _ in left_out]
    for column in sorted(columns):
        for row, cell in enumerate(cells(column)):
            said = cell.strip().casefold()
            if said in YES:
                labels[row].append(column)
            elif said not in NO and left_out[row] is None:
                what = (
                    f"{cell.strip()[:80]!r} in column {column!r} is"
                    if said
                    else f"column {column!r} is empty and so"
                )
                message = (
                    f"{what} neither yes nor no; write 1 or 0 (true, false, yes and no are understood too)"
                )
                faults.add(row, message)
    faults.raise_any()
    return labels


def _unfit(counts: Counter[str], spec: RunSpec, parted: bool) -> str | None:
    """What is wrong with labels of these frequencies. `parted`: some row has several."""
    chosen = spec.columns["label"]
    place = f"column {chosen!r}" if isinstance(chosen, str) else "the columns of labels"
    if not counts:
        return f"no row has a label in {place}, so there is nothing to learn"
    if len(counts) == 1:
        only = next(iter(counts))
        return (
            f"{place} {'has' if isinstance(chosen, str) else 'have'} rows of the label {only!r} only; several labels "
            f"in a cell are parted by {SEPARATOR}; for one label, yes or no, choose classification"
        )
    if len(counts) > MOST_CLASSES:
        return (
            f"{place} has {len(counts):,} different labels, so it looks like free text or labels that are not parted "
            f"by {SEPARATOR}; at most {MOST_CLASSES:,} labels are possible"
        )
    if isinstance(chosen, str) and all(label.casefold() in YES + NO for label in counts):
        return f"{place} says only yes or no; name all the columns of labels, or choose classification for this one alone"
    other = next((mark for mark in ",;" if 2 * sum(mark in label for label in counts) > len(counts)), None)
    if isinstance(chosen, str) and not parted and other is not None:
        return f"the labels in {place} seem to be parted by {other!r}; write {SEPARATOR} between them"
    return None
