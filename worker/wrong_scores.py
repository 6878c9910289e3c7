"""Which numbers are likely wrong: those far from what models say that have not seen them.

Ridge regressions, cross-fitted as in worker/wrong_labels.py: on words and on what a frozen model says. Their predictions are weighed by
least squares. How far off is usual depends on the prediction (of texts in the middle of the scale less is known than at its ends), so
a row's distance is taken in units of what is usual among rows with a like prediction. The order is that of the odds that the number is
another text's: how frequent it is in the data, over how probable it is for this text.

`benchmarks/wrong_scores.py` says how well it does: of 6,000 posts with 300 wrong numbers, 76 to 82 % of the first 50 are wrong ones where
the starter reads them (by the plain distance 68 to 76 %); of 1,200 with 60, 54 %, and 58 to 72 % where MPNet does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from worker import baselines
from worker.baselines import Labels, Numbers, Probabilities, Texts
from worker.seeds import derive
from worker.wrong_labels import Features, Judge

WORDS_STRENGTH = 1.0  # alpha of the regression on words
STRENGTH = 3.0  # and, for each feature, of that on features that have variance 1
STRATA = 20
WEIGHED_ROWS = 100  # of fewer the mean is taken
LEAST_OFF = 1.5  # times the usual: nearer numbers are not doubted
NORMAL = 1.4826  # the deviation of a normal distribution over its median distance
DENSITY_ROWS = 2000
FEW_NUMBERS = 100  # where there are no more different ones, no other is suggested


@dataclass(frozen=True)
class FoundNumbers:
    """Rows, the likeliest wrong first, what is predicted of them, and how many times the usual they are off. `likely`: how many are further
    off than usual misses explain, which counts texts that are hard with those that are wrong: of 6,000 numbers about 220, with 300
    wrong ones put among them about 590."""

    rows: Labels
    predicted: Numbers
    off: Numbers
    likely: int


def by_words(texts: Texts, scores: Numbers) -> Judge:
    """TF-IDF and a ridge regression, as the baseline of a run. Judged: (rows, 1)."""
    from sklearn.linear_model import Ridge

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        learn = learn[baselines.sampled(len(learn), 1, 0)]
        features = baselines.Features([texts[row] for row in learn], 1)
        if features.nothing:
            return np.full((len(asked), 1), scores[learn].mean())
        model = Ridge(alpha=WORDS_STRENGTH, solver="sparse_cg").fit(features.training, scores[learn])
        return _column(model.predict(features.of([texts[row] for row in asked])))

    return judge


def by_features(features: Features, scores: Numbers) -> Judge:
    """A ridge regression on what a frozen model says of the texts. Judged: (rows, 1)."""
    from sklearn.linear_model import Ridge

    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)

    def judge(learn: Labels, asked: Labels) -> Probabilities:
        model = Ridge(alpha=STRENGTH * scaled.shape[1], solver="cholesky")
        return _column(model.fit(scaled[learn], scores[learn]).predict(scaled[asked]))

    return judge


def strata(scores: Numbers) -> Labels:
    """By which rows are dealt into folds: each gets its share of low and high numbers."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    found: Labels = ranks * STRATA // len(scores)
    return found


def together(several: Sequence[Probabilities], scores: Numbers) -> Probabilities:
    """Several predictions (rows, 1) as one, each weighed by what it is worth; none less than nothing."""
    from sklearn.linear_model import LinearRegression

    every = np.hstack(several)
    if len(every) < WEIGHED_ROWS:
        return _column(every.mean(axis=1))
    return _column(LinearRegression(positive=True).fit(every, scores).predict(every))


def likely_wrong(predicted: Numbers, scores: Numbers) -> FoundNumbers:
    """The rows whose number is doubted. Both: (rows,)."""
    usual = _usual(predicted, np.abs(scores - predicted))
    off = np.abs(scores - predicted) / usual
    # The logarithms of both densities; the normal one has ln(2 pi) / 2 besides.
    anywhere = _density(scores)
    here = -np.square(off) / 2 - np.log(usual) - 0.919
    odds = anywhere - here
    rows = np.flatnonzero(off >= LEAST_OFF)
    rows = rows[np.argsort(-odds[rows], kind="stable")]
    return FoundNumbers(rows, predicted, off, min(_expected(odds), len(rows)))


def rounded(predicted: float, scores: Numbers, usual: float) -> float:
    """A prediction as the data is written: one of its numbers where there are few, else with its decimals, if they are not
    finer than a tenth of what is usually missed."""
    known = np.unique(scores)
    if len(known) <= FEW_NUMBERS and len(known) * 5 <= len(scores):
        return float(known[np.abs(known - predicted).argmin()])
    sure = max(0, int(np.ceil(1 - np.log10(max(usual, 1e-12)))))
    found = round(float(np.clip(predicted, known[0], known[-1])), min(_decimals(scores), sure))
    return found + 0.0  # 0 is not -0


def _usual(predicted: Numbers, distance: Numbers) -> Numbers:
    """What is usual among rows with a like prediction, as a deviation; between the middles of strata it changes evenly."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, max(1, min(STRATA, len(order) // 50)))
    middles = [float(np.median(predicted[part])) for part in parts]
    all_over = max(float(np.median(distance)), 1e-3 * float(distance.max()), 1e-12)
    # Where most numbers are met exactly, the next one to it is not infinitely far.
    usual = [max(float(np.median(distance[part])), 0.25 * all_over) for part in parts]
    found: Numbers = NORMAL * np.interp(predicted, middles, usual)
    return found


def _density(scores: Numbers) -> Numbers:
    """ln of how dense the numbers lie at each; one far from all others counts as one row in the width of the data."""
    from scipy.stats import gaussian_kde

    width = max(float(scores.std()), 1e-12)
    alone = 1 / (len(scores) * width)
    drawn = np.random.default_rng(derive(0, "density")).permutation(len(scores))[:DENSITY_ROWS]
    if scores[drawn].std() < 1e-9 * width:
        return np.full(len(scores), np.log(alone))
    found: Numbers = np.log(np.maximum(gaussian_kde(scores[drawn])(scores), alone))
    return found


def _expected(odds: Numbers) -> int:
    """How many are wrong if the two densities are all there is: the share under which it is most probable (EM)."""
    ratio, share = np.exp(np.clip(odds, -50, 50)), 0.05
    for _ in range(100):
        share = float((share * ratio / (1 - share + share * ratio)).mean())
    return round(share * len(odds))


def _decimals(scores: Numbers) -> int:
    """That nineteen in twenty of the numbers need no more of."""
    some = scores[:: max(1, len(scores) // 1000)]
    exponents = [Decimal(repr(one)).normalize().as_tuple().exponent for one in some.tolist()]
    needed = [max(0, -one) for one in exponents if isinstance(one, int)]
    return int(np.quantile(needed, 0.95, method="higher"))


def _column(values: npt.NDArray[np.floating]) -> Probabilities:
    found: Probabilities = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return found
