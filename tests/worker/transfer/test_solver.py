"""The optimum is the one that scikit-learn finds for the same features."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from worker.encode import Encoded
from worker.losses import CrossEntropy
from worker.transfer import solver
from worker.transfer.solver import Fit, Layer

Floats = npt.NDArray[np.float32]


def drawn(rows: int, classes: int, width: int = 12) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Overlapping clouds, in features of very different sizes."""
    generator = np.random.default_rng(3)
    truth = generator.integers(classes, size=rows)
    centres = generator.normal(size=(classes, width))
    sizes = 10.0 ** generator.uniform(-3, 2, width)
    features = (centres[truth] + 2 * generator.normal(size=(rows, width))) * sizes + 5 * sizes
    return features.astype(np.float32), truth


def cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits, truth, reduction="none")


def solved(fit: Fit, strength: float) -> Layer:
    assert list(fit.solve(strength))
    return fit.layer()


def probabilities(layer: Layer, features: Floats) -> npt.NDArray[np.float64]:
    assert layer.bias is not None
    logits = torch.from_numpy(features).double() @ layer.weight.T + layer.bias
    found: npt.NDArray[np.float64] = logits.softmax(1).numpy()
    return found


def standardised(features: Floats) -> npt.NDArray[np.float64]:
    wide = features.astype(np.float64)
    scaled: npt.NDArray[np.float64] = (wide - wide.mean(0)) / wide.std(0)
    return scaled


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_cross_entropy_is_scikit_learns_logistic_regression(classes: int, strength: float) -> None:
    features, truth = drawn(300, classes)
    fit = Fit(features, cross_entropy, torch.from_numpy(truth), len(truth), classes)
    # A softmax over two rows of weights shares the penalty between them; scikit-learn's sigmoid has one.
    theirs = LogisticRegression(C=strength * (2 if classes == 2 else 1), tol=1e-10, max_iter=10_000)
    theirs.fit(standardised(features), truth)
    ours = probabilities(solved(fit, strength), features)
    np.testing.assert_allclose(ours, theirs.predict_proba(standardised(features)), atol=1e-4)


def test_squared_error_is_ridge_regression() -> None:
    features, truth = drawn(200, 5)
    wanted = truth.astype(np.float32)

    def each(logits: Tensor, truth: Tensor) -> Tensor:
        return (logits[:, 0] - truth.double()).square()

    layer = solved(Fit(features, each, torch.from_numpy(wanted), len(wanted), 1), 0.05)
    # |Zw - y|² / n + |w|² / (2 C n)
    theirs = Ridge(alpha=1 / (2 * 0.05), tol=1e-12).fit(standardised(features), wanted)
    np.testing.assert_allclose(
        layer.logits(features)[:, 0], theirs.predict(standardised(features)), atol=1e-4
    )


def test_rows_count_for_their_shares() -> None:
    features, truth = drawn(120, 2)
    twice = np.concatenate([np.arange(120), np.arange(120)])
    halves = torch.full((240,), 0.5)
    whole = Fit(features, cross_entropy, torch.from_numpy(truth), 120.0, 2)
    shared = Fit(features[twice], cross_entropy, torch.from_numpy(truth[twice]), 120.0, 2, shares=halves)
    assert torch.allclose(solved(whole, 0.1).weight, solved(shared, 0.1).weight, rtol=1e-3, atol=1e-6)


def test_class_weights_are_those_of_the_tasks_loss() -> None:
    features, truth = drawn(200, 2)
    none = np.zeros(0, np.int64)
    data = Encoded(none.astype(np.int32), none, none.astype(np.int32), none)
    objective = CrossEntropy(data, truth, 0, (1.0, 3.0))
    weighted = Fit(features, objective.each, torch.from_numpy(truth), 200.0, 2)
    theirs = LogisticRegression(C=0.2, tol=1e-10, max_iter=10_000, class_weight={0: 1.0, 1: 3.0})
    theirs.fit(standardised(features), truth)
    ours = probabilities(solved(weighted, 0.1), features)
    np.testing.assert_allclose(ours, theirs.predict_proba(standardised(features)), atol=1e-4)


@pytest.mark.parametrize("alike", [False, True])
def test_without_an_intercept_nothing_is_shifted(alike: bool) -> None:
    features, truth = drawn(200, 3)
    layer = solved(
        Fit(features, cross_entropy, torch.from_numpy(truth), 200.0, 3, intercept=False, alike=alike), 0.1
    )
    assert layer.bias is None
    assert not layer.logits(np.zeros((1, 12), dtype=np.float32)).any()


def test_a_constant_feature_gets_no_weight() -> None:
    features, truth = drawn(100, 2)
    features[:, 4] = 0.1
    layer = solved(Fit(features, cross_entropy, torch.from_numpy(truth), 100.0, 2), 1.0)
    assert not layer.weight[:, 4].any()


def test_pieces_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    features, truth = drawn(150, 3)

    def found() -> Layer:
        return solved(Fit(features, cross_entropy, torch.from_numpy(truth), 150.0, 3), 0.1)

    whole = found()
    monkeypatch.setattr(solver, "PIECE", 40)
    assert torch.allclose(found().weight, whole.weight, rtol=1e-3, atol=1e-6)


def test_the_same_twice_to_the_bit() -> None:
    features, truth = drawn(150, 3)
    ours = [solved(Fit(features, cross_entropy, torch.from_numpy(truth), 150.0, 3), 0.3) for _ in range(2)]
    assert torch.equal(ours[0].weight, ours[1].weight)


def test_each_iteration_lowers_the_loss() -> None:
    features, truth = drawn(150, 3)
    fit = Fit(features, cross_entropy, torch.from_numpy(truth), 150.0, 3)
    losses = [one.loss for one in fit.solve(1.0)]
    assert len(losses) > 5
    assert all(later <= before for before, later in pairwise(losses))


def test_features_that_are_no_numbers_are_refused() -> None:
    features, truth = drawn(20, 2)
    features[3, 3] = np.nan
    with pytest.raises(ValueError, match="no finite numbers"):
        Fit(features, cross_entropy, torch.from_numpy(truth), 20.0, 2)
