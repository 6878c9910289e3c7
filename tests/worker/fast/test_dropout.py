"""Dropout from fast random numbers is dropout."""

import torch
from torch import nn

from worker.fast.dropout import FastDropout, kept, swapped
from worker.seeds import reseed

SHAPE = torch.Size((400, 250))


def test_the_share_that_is_dropped_is_p_and_the_mean_stays_one() -> None:
    for p in (0.05, 0.1, 0.5):
        reseed(1, "dropout")
        mask = kept(SHAPE, p)
        dropped = float((mask == 0).float().mean())
        assert abs(dropped - p) < 5 * (p * (1 - p) / mask.numel()) ** 0.5  # five standard deviations
        assert abs(float(mask.mean()) - 1) < 0.02
        assert abs(float(mask.max()) - 1 / (1 - p)) < 1e-4


def test_places_are_dropped_independently_of_their_neighbours() -> None:
    reseed(2, "dropout")
    dropped = (kept(SHAPE, 0.5) == 0).float() - 0.5
    for lag in (1, 2, 3, 4, 250):
        flat = dropped.flatten()
        assert abs(float((flat[lag:] * flat[:-lag]).mean()) * 4) < 5 / flat.numel() ** 0.5


def test_the_seed_of_torch_decides_the_mask_and_each_call_draws_another() -> None:
    reseed(3, "dropout", 7)
    first, second = kept(SHAPE, 0.1), kept(SHAPE, 0.1)
    reseed(3, "dropout", 7)
    assert torch.equal(first, kept(SHAPE, 0.1))
    assert not torch.equal(first, second)


def test_the_gradient_is_the_mask_over_one_minus_p() -> None:
    layer = FastDropout(0.25)
    x = torch.ones(SHAPE, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, y.detach())
    assert set(y.detach().unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}


def test_everything_is_dropped_at_one_and_nothing_at_zero_or_in_evaluation() -> None:
    x = torch.ones(SHAPE)
    assert not FastDropout(1.0)(x).any()
    assert FastDropout(0.0)(x) is x
    assert FastDropout(0.5).eval()(x) is x


def test_other_dtypes_fall_back_to_torch() -> None:
    y = FastDropout(0.5)(torch.ones(SHAPE, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and 0.4 < float((y == 0).float().mean()) < 0.6


def test_only_plain_dropout_is_swapped_and_its_rate_stays() -> None:
    model = nn.Sequential(nn.Dropout(0.3), nn.Dropout1d(0.3), nn.Dropout(0.3, inplace=True))
    assert swapped(model) == [model[0]]
    assert type(model[0]) is FastDropout and model[0].p == 0.3
