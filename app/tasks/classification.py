"""Classification: one text, one label of two or more."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from app.core.errors import Invalid, Problem
from app.core.spec import RunSpec
from app.tasks.base import Metric, Role, Task, column_of, unseen
from app.tasks.examples import Examples
from app.tasks.long_texts import logits_usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.floating[Any]]

MOST_CLASSES = 1000
MOST_CONFUSED = 100  # classes up to which the confusion matrix is of use, and small
BINS = 15
USAGE = """\
probabilities = logits("A text to classify.").softmax(-1).tolist()
print({model.config.id2label[index]: value for index, value in enumerate(probabilities)})
"""


class Classification(Task):
    name = "classification"
    title = "Classification"
    about = "One label for each text: sentiment, topic, spam."
    torch = "classification:Classification"
    needs = "classification"
    inputs: ClassVar[tuple[tuple[Role, ...], ...]] = ((Role("text"), Role("label")),)
    judged_by = (
        Metric("accuracy", "accuracy"),
        Metric("macro_f1", "macro F1"),
        Metric("roc_auc", "ROC AUC"),
        Metric("log_loss", "log loss", lower=True),
        Metric("ece", "calibration error", lower=True),
    )
    primary = "macro_f1"
    curves = (Metric("accuracy", "accuracy"), Metric("macro_f1", "macro F1"))
    options: ClassVar[tuple[str, ...]] = (
        "class_weights",
        "label_smoothing",
        "focal_gamma",
        "truncation",
        "pooling",
    )
    baselines = (("tfidf", "TF-IDF + logistic regression"), ("majority", "most frequent label"))
    pipeline = "text-classification"
    labels_a_row = "one"

    def stratum(self, spec: RunSpec) -> str | None:
        return column_of(spec, "label")

    def goal(self, labels: list[str]) -> str:
        return f"to tell {len(labels)} labels apart"

    def usage(self, spec: RunSpec, folder: str) -> str:
        if spec.truncation != "end":
            return logits_usage(spec, folder, USAGE)
        return (
            "from transformers import pipeline\n\n"
            f'classify = pipeline("text-classification", "{folder}", truncation=True, max_length={spec.max_length})\n'
            'print(classify("A text to classify.", top_k=None))\n'
        )

    def output_cells(self, output: dict[str, Any]) -> dict[str, Any]:
        probabilities = {f"p: {label}": value for label, value in output["probabilities"].items()}
        return {"predicted": output["label"], "score": output["score"], **probabilities}

    def check(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        problems = self.check_labels(examples, spec)
        if spec.focal_gamma and spec.label_smoothing:
            message = "can't be combined with label_smoothing: the focal loss looks at the true class alone; choose one"
            problems.append({"where": "focal_gamma", "message": message})
        return problems

    def check_labels(self, examples: Examples, spec: RunSpec) -> list[Problem]:
        """What makes the labels unfit."""
        column = column_of(spec, "label")
        counts = Counter(examples.labels)
        if len(counts) == 1:
            only = next(iter(counts))
            message = f"every row has the label {only[:80]!r} in column {column!r}; classification needs at least two labels"
            return [{"where": "columns.label", "message": message}]
        if len(counts) > MOST_CLASSES:
            message = (
                f"column {column!r} has {len(counts):,} different values, so it looks like free text; choose the column "
                f"that holds the labels (at most {MOST_CLASSES:,} of them)"
            )
            return [{"where": "columns.label", "message": message}]
        lonely = with_one_text(examples, lambda row: [examples.labels[row]])
        return [lonely_labels(lonely)] if lonely else unseen(examples, lambda row: [examples.labels[row]])

    def labels(self, examples: Examples) -> list[str]:
        return sorted(set(examples.labels))

    def metrics(
        self,
        truth: "Sequence[int] | NDArray[np.integer[Any]]",
        probabilities: "Probabilities",
        labels: list[str],
    ) -> dict[str, float]:
        """accuracy, macro_f1, roc_auc, log_loss, ece. truth: n class indices; probabilities: (n, classes).

        macro_f1 is the mean over the classes that occur in the truth or among the predictions (scikit-learn's own).
        roc_auc: of labels[1] with two classes, else one against the rest, macro; omitted when a class doesn't occur.
        log_loss in nats. ece: expected calibration error, 15 equal bins of the top probability (Guo et al. 2017).
        Raises Invalid (kind "training") when probabilities are not numbers.
        """
        from sklearn.metrics import accuracy_score, f1_score, log_loss

        true, scores = _arrays(truth, probabilities, len(labels))
        predicted = scores.argmax(axis=1)
        found = {
            "accuracy": float(accuracy_score(true, predicted)),
            "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0)),
            "log_loss": float(log_loss(true, scores, labels=range(len(labels)))),
            "ece": expected_calibration_error(true, scores),
        }
        if len(set(true.tolist())) == len(labels):
            asked = [1] if len(labels) == 2 else range(len(labels))
            found["roc_auc"] = sum(_roc_auc(true == place, scores[:, place]) for place in asked) / len(asked)
        return found

    def results(
        self,
        truth: "Sequence[int] | NDArray[np.integer[Any]]",
        probabilities: "Probabilities",
        labels: list[str],
    ) -> dict[str, Any]:
        """Per-class scores, the confusion matrix (rows truth, columns predicted; of up to 100 classes), the reliability
        diagram's bins."""
        from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

        true, scores = _arrays(truth, probabilities, len(labels))
        predicted = scores.argmax(axis=1)
        classes = range(len(labels))
        columns = precision_recall_fscore_support(true, predicted, labels=classes, zero_division=0)
        per_class = [
            {
                "label": label,
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "support": int(support),
            }
            for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
        ]
        found = {
            "labels": list(labels),
            "rows": len(true),
            "per_class": per_class,
            "reliability": reliability(true, scores),
        }
        if len(labels) <= MOST_CONFUSED:
            found["confusion"] = confusion_matrix(true, predicted, labels=classes).tolist()
        return found


def _roc_auc(positive: "NDArray[np.bool_]", scores: "Probabilities") -> float:
    """The share of the pairs of a positive and another row that the scores put in order, ties half: as scikit-learn's
    area under the curve, without the curve. Both have rows."""
    from scipy.stats import rankdata

    hits = int(positive.sum())
    ranks = rankdata(scores)[positive].sum() - hits * (hits + 1) / 2
    return float(ranks / (hits * (len(scores) - hits)))


def reliability(
    truth: "NDArray[np.integer[Any]]", probabilities: "Probabilities", bins: int = BINS
) -> list[dict[str, float]]:
    """The bins of the reliability diagram that have rows: {"low", "high", "rows", "confidence", "accuracy"}, means
    of each bin. Bins are (i/bins, (i+1)/bins] of the top probability, as in `expected_calibration_error`."""
    import numpy as np

    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(which, minlength=bins)
    sums = np.bincount(which, weights=confidence, minlength=bins)
    hits = np.bincount(which, weights=right, minlength=bins)
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "rows": int(rows[place]),
            "confidence": float(sums[place] / rows[place]),
            "accuracy": float(hits[place] / rows[place]),
        }
        for place in range(bins)
        if rows[place]
    ]


def expected_calibration_error(
    truth: "NDArray[np.integer[Any]]", probabilities: "Probabilities", bins: int = BINS
) -> float:
    """Mean distance of confidence and accuracy, weighted by the rows of each bin of confidence.

    Bins are (i/bins, (i+1)/bins]. Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    import numpy as np

    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(which, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def _arrays(
    truth: "Sequence[int] | NDArray[np.integer[Any]]", probabilities: "Probabilities", classes: int
) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
    """Both as arrays; probabilities in float64 and adding up to 1 again (bf16 and float32 round)."""
    import numpy as np

    true = np.asarray(truth, dtype=np.int64)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.shape != (len(true), classes) or len(true) == 0:
        raise ValueError(f"expected probabilities of shape ({len(true)}, {classes}), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise Invalid(
            "The model's probabilities are not numbers: training diverged. Try half the learning rate.",
            kind="training",
        )
    return true, scores / scores.sum(axis=1, keepdims=True)


def with_one_text(examples: Examples, labels_of: Callable[[int], Sequence[str]]) -> list[str]:
    """The labels with fewer than 2 different texts (normalised; of pairs: different pairs). `labels_of(row)`: a row's
    labels. Normalises no more texts than it needs."""
    from app.datasets.split import normalised

    columns = [values for role, values in examples.values.items() if role != "label"]
    first: dict[str, list[str]] = {}
    done: set[str] = set()
    for row in range(len(examples)):
        pending = [label for label in labels_of(row) if label not in done]
        if pending:
            plain = [normalised(values[row]) for values in columns]
            done.update(label for label in pending if first.setdefault(label, plain) != plain)
    return sorted(first.keys() - done)


def lonely_labels(labels: list[str]) -> Problem:
    """The problem that `labels` have fewer than 2 different texts each."""
    shown = ", ".join(repr(label) for label in labels[:5]) + (" …" if len(labels) > 5 else "")
    some = "label" if len(labels) == 1 else f"{len(labels)} labels"
    has = "has" if len(labels) == 1 else "have"
    message = (
        f"the {some} {shown} {has} fewer than 2 different texts, so nothing would be left to test on; "
        "add texts, or remove or merge the label"
    )
    return {"where": "columns.label", "message": message}
