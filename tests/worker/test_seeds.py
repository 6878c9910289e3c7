import random

import numpy as np
import torch

from worker.seeds import derive, reseed


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_derived_seeds_have_63_bits_and_never_change() -> None:
    assert derive(1, "head") == 4622413181306948921  # a change would break every resume
    seeds = {
        derive(seed, purpose, step) for seed in (1, 2) for purpose in ("order", "head") for step in range(50)
    }
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_reseeding_forgets_what_was_drawn_before() -> None:
    reseed(1, "dropout", 3)
    first = draw()
    draw()
    reseed(1, "dropout", 3)
    assert draw() == first
    reseed(1, "dropout", 4)
    assert draw() != first
