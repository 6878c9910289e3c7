"""What a fine-tuned model has to beat: the majority class, and TF-IDF with logistic regression."""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from worker.seeds import derive

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# Bounds on the time of a fit, for the page waits for it: it grows with rows × classes and with
# features × classes. Forty classes and 50,000 rows are still taken whole.
ROWS, ROWS_TIMES_CLASSES = 50_000, 2_000_000
FEATURES, FEATURES_TIMES_CLASSES = 50_000, 2_000_000
ITERATIONS = 100
STRENGTHS = (1.0, 3.0, 10.0)  # inverse regularisation C; the first is scikit-learn's default


def majority(train_labels: Labels, rows: int, n_classes: int) -> Probabilities:
    """Every row gets the classes' shares of the training rows: (rows, n_classes). Its argmax is the majority."""
    shares = np.bincount(train_labels, minlength=n_classes) / len(train_labels)
    return np.tile(shares, (rows, 1))


def tfidf(
    train_texts: Sequence[str],
    train_labels: Labels,
    texts: Sequence[str],
    n_classes: int,
    seed: int = 0,
    validation: tuple[Sequence[str], Labels] | None = None,
) -> Probabilities:
    """Probabilities (texts, n_classes) of a logistic regression on TF-IDF of words and word pairs.

    Of three strengths of regularisation the one with the lowest log loss on `validation` is taken. Texts that
    words say little about (Chinese, emoji) are taken by runs of one to three characters. Deterministic: the
    seed only picks the rows of a training set that is too large. Without anything to learn from (one class,
    empty texts) the answer is that of `majority`.
    """
    most = min(ROWS, max(2000, ROWS_TIMES_CLASSES // n_classes))
    if len(train_texts) > most:
        generator = np.random.default_rng(derive(seed, "tfidf"))
        chosen = np.sort(generator.permutation(len(train_texts))[:most])
        train_texts, train_labels = [train_texts[row] for row in chosen], train_labels[chosen]
    vectorizer = _vectorizer(train_texts, min(FEATURES, max(2000, FEATURES_TIMES_CLASSES // n_classes)))
    try:
        features = vectorizer.fit_transform(train_texts)
    except ValueError:  # no word and no character in any text
        return majority(train_labels, len(texts), n_classes)
    present = np.unique(train_labels)
    if len(present) < 2:
        return majority(train_labels, len(texts), n_classes)

    def probabilities(model: LogisticRegression, rows: Sequence[str]) -> Probabilities:
        result = np.zeros((len(rows), n_classes))
        if len(rows):
            result[:, present] = model.predict_proba(vectorizer.transform(rows))
        return result

    if validation is None or not len(validation[1]):
        return probabilities(_fit(features, train_labels, STRENGTHS[0]), texts)
    models = [_fit(features, train_labels, strength) for strength in STRENGTHS]
    losses = [_log_loss(validation[1], probabilities(model, validation[0])) for model in models]
    return probabilities(models[int(np.argmin(losses))], texts)


def _vectorizer(texts: Sequence[str], features: int) -> TfidfVectorizer:
    """By words where there are words: where spaces part the text every dozen characters or so."""
    characters = sum(len(text) for text in texts)
    words = sum(len(text.split()) for text in texts)
    letters = sum(1 for text in texts for character in text if character.isalnum())
    options = {"sublinear_tf": True, "max_features": features}
    if characters > 15 * words or 3 * letters < characters:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **options)
    return TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), **options)


def _fit(features: object, labels: Labels, strength: float) -> LogisticRegression:
    model = LogisticRegression(C=strength, max_iter=ITERATIONS)  # lbfgs: no random numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the bound on the time is meant
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # numbers of classes
        return model.fit(features, labels)


def _log_loss(truth: Labels, probabilities: Probabilities) -> float:
    classes = np.arange(probabilities.shape[1])
    clipped = np.clip(probabilities, 1e-9, None)
    return float(log_loss(truth, clipped / clipped.sum(axis=1, keepdims=True), labels=classes))
