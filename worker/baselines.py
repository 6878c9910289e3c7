"""What a fine-tuned model has to beat: the most frequent answer, and TF-IDF with logistic or ridge regression.

All see the training rows that the model saw; the strength of regularisation is chosen on the validation rows.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack

from worker.seeds import derive

# scikit-learn takes a second to import, and only the end of a run needs it: each function does it for itself.
if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Texts = Sequence[str] | Sequence[tuple[str, str]]  # texts, or pairs of them

# Bounds on the time of a fit, for the page waits for it: it grows with rows × classes and with
# features × classes. Forty classes and 50,000 rows are still taken whole.
ROWS, ROWS_TIMES_CLASSES = 50_000, 2_000_000
FEATURES, FEATURES_TIMES_CLASSES = 50_000, 2_000_000
ITERATIONS = 100
STRENGTHS = (1.0, 3.0, 10.0)  # inverse regularisation C; the first is scikit-learn's default
RIDGE_STRENGTHS = (1.0, 0.3, 3.0)  # alpha; the first is scikit-learn's default


def majority(train_labels: Labels, rows: int, n_classes: int) -> Probabilities:
    """Every row gets the classes' shares of the training rows: (rows, n_classes). Its argmax is the majority."""
    shares = np.bincount(train_labels, minlength=n_classes) / len(train_labels)
    return np.tile(shares, (rows, 1))


def frequent(truth: Flags) -> Flags:
    """The labels, (labels,), that more than half of the rows have; without any: the most frequent one."""
    shares = truth.mean(axis=0)
    most: Flags = shares > 0.5
    return most if most.any() else np.arange(len(shares)) == shares.argmax()


def tfidf(
    train_texts: Texts,
    train_labels: Labels,
    texts: Texts,
    n_classes: int,
    seed: int = 0,
    validation: tuple[Texts, Labels] | None = None,
    strength: float = STRENGTHS[0],
) -> Probabilities:
    """Probabilities (texts, n_classes) of a logistic regression on TF-IDF (see `Features`).

    Of three strengths of regularisation the one with the lowest log loss on `validation` is taken; without it `strength`. Deterministic: the
    seed only picks the rows of a training set that is too large. Without anything to learn from (one class,
    empty texts) the answer is that of `majority`.
    """
    rows = sampled(len(train_texts), n_classes, seed)
    train_labels = train_labels[rows]
    features = Features(_take(train_texts, rows), n_classes)
    present = np.unique(train_labels)
    if features.nothing or len(present) < 2:
        return majority(train_labels, len(texts), n_classes)

    def probabilities(model: "LogisticRegression", some: Texts) -> Probabilities:
        result = np.zeros((len(some), n_classes))
        if len(some):
            result[:, present] = model.predict_proba(features.of(some))
        return result

    if validation is None or not len(validation[1]):
        return probabilities(_fit(features.training, train_labels, strength), texts)
    models = [_fit(features.training, train_labels, one) for one in STRENGTHS]
    losses = [_log_loss(validation[1], probabilities(model, validation[0])) for model in models]
    return probabilities(models[int(np.argmin(losses))], texts)


def tfidf_labels(
    train_texts: Texts,
    train_truth: Flags,
    validation_texts: Texts,
    validation_truth: Flags,
    texts: Texts,
    seed: int = 0,
) -> tuple[Probabilities, Probabilities]:
    """Probabilities of each label for itself, (rows, labels), of the validation rows and of `texts`: one logistic
    regression a label; the strength that all share is chosen by the log loss of the validation rows."""
    from sklearn.linear_model import LogisticRegression

    count = train_truth.shape[1]
    rows = sampled(len(train_texts), count, seed)
    train_truth = train_truth[rows]
    shares = train_truth.mean(axis=0)
    features = Features(_take(train_texts, rows), count)
    constant = np.tile(shares, (len(validation_texts), 1)), np.tile(shares, (len(texts), 1))
    if features.nothing:
        return constant
    asked = features.of(validation_texts), features.of(texts)
    best, lowest = constant, np.inf
    for strength in STRENGTHS:
        found = constant[0].copy(), constant[1].copy()
        for label in np.flatnonzero((shares > 0) & (shares < 1)):
            model = LogisticRegression(C=strength, max_iter=ITERATIONS, solver="liblinear")
            model.fit(features.training, train_truth[:, label])
            for matrix, some in zip(found, asked, strict=True):
                matrix[:, label] = model.predict_proba(some)[:, 1]
        clipped = np.clip(found[0], 1e-9, 1 - 1e-9)
        loss = -np.where(validation_truth, np.log(clipped), np.log(1 - clipped)).mean()
        if loss < lowest:
            best, lowest = found, loss
    return best


def tfidf_score(
    train_texts: Texts,
    train_scores: Numbers,
    validation_texts: Texts,
    validation_scores: Numbers,
    texts: Texts,
    seed: int = 0,
) -> Numbers:
    """Scores (texts,) of a ridge regression; the strength is chosen by the squared error of the validation rows."""
    from sklearn.linear_model import Ridge

    rows = sampled(len(train_texts), 1, seed)
    train_scores = train_scores[rows]
    features = Features(_take(train_texts, rows), 1)
    if features.nothing:
        return np.full(len(texts), train_scores.mean())
    models = [
        Ridge(alpha=strength, solver="sparse_cg").fit(features.training, train_scores)
        for strength in RIDGE_STRENGTHS
    ]
    asked = features.of(validation_texts)
    errors = [float(np.square(model.predict(asked) - validation_scores).mean()) for model in models]
    scores: Numbers = models[int(np.argmin(errors))].predict(features.of(texts))
    return scores


class Features:
    """TF-IDF of words and word pairs, fitted on training texts; `training`: their matrix, (rows, features).

    Texts that words say little about (Chinese, emoji) are taken by runs of one to three characters. Of pairs of texts:
    both, their product and their difference, for what matters is what they share (after Conneau et al. 2017, InferSent).
    `nothing`: no text has a word or a character.
    """

    def __init__(self, rows: Texts, outputs: int) -> None:
        self.paired = bool(rows) and not isinstance(rows[0], str)
        most = min(FEATURES, max(2000, FEATURES_TIMES_CLASSES // outputs))
        flat = self._flat(rows)
        self._vectorizer = _vectorizer(flat, most // 4 if self.paired else most)
        self.nothing = False
        try:
            self.training = self._joined(self._vectorizer.fit_transform(flat))
        except ValueError:  # no word and no character in any text
            self.nothing = True

    def of(self, rows: Texts) -> Any:
        return self._joined(self._vectorizer.transform(self._flat(rows)))

    def _flat(self, rows: Texts) -> list[str]:
        return [one[place] for place in (0, 1) for one in rows] if self.paired else [str(one) for one in rows]

    def _joined(self, matrix: Any) -> Any:
        if not self.paired:
            return matrix
        half = matrix.shape[0] // 2
        first, second = matrix[:half], matrix[half:]
        return csr_matrix(hstack([first, second, first.multiply(second), abs(first - second)]))


def sampled(rows: int, outputs: int, seed: int) -> Labels:
    """The training rows that are taken, in order: all, unless there are too many."""
    most = min(ROWS, max(2000, ROWS_TIMES_CLASSES // outputs))
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(derive(seed, "tfidf")).permutation(rows)[:most])


def _take(texts: Texts, rows: Labels) -> Texts:
    return texts if len(rows) == len(texts) else [texts[row] for row in rows]


def _vectorizer(texts: Sequence[str], features: int) -> "TfidfVectorizer":
    """By words where there are words: where spaces part the text every dozen characters or so."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    characters = sum(len(text) for text in texts)
    words = sum(len(text.split()) for text in texts)
    letters = sum(1 for text in texts for character in text if character.isalnum())
    options = {"sublinear_tf": True, "max_features": features}
    if characters > 15 * words or 3 * letters < characters:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **options)
    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), **options)


def _fit(features: object, labels: Labels, strength: float) -> "LogisticRegression":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=ITERATIONS)  # lbfgs: no random numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the bound on the time is meant
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # numbers of classes
        return model.fit(features, labels)


def _log_loss(truth: Labels, probabilities: Probabilities) -> float:
    from sklearn.metrics import log_loss

    classes = np.arange(probabilities.shape[1])
    clipped = np.clip(probabilities, 1e-9, None)
    return float(log_loss(truth, clipped / clipped.sum(axis=1, keepdims=True), labels=classes))
