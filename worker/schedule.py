"""The learning rate as a pure function of the step: a resume needs no scheduler state."""

import math


def warmup_steps(steps: int, ratio: float) -> int:
    """Optimiser steps of warm-up out of `steps`, rounded up (as transformers does)."""
    return math.ceil(steps * ratio)


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then linear decay (Devlin et al. 2019). `step` counts from 1 to `steps`.

    The rate would be zero at step 0 and at step steps + 1, and is the peak at step warmup + 1, so that no
    step of the run is spent on a rate of zero. With warmup == 0 the first step has the peak.
    """
    if step <= warmup:
        return peak * step / (warmup + 1)
    return peak * (steps + 1 - step) / (steps - warmup)
