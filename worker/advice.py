"""What to tell the user after a training that went nowhere."""

from typing import Any

import numpy as np
import numpy.typing as npt

NEAR, ABOVE = 0.95, 1.2


def entropy(shares: npt.NDArray[np.floating[Any]]) -> float:
    """Nats: the loss of a model that only knows how frequent each class is. `shares`: add up to 1."""
    there = shares[shares > 0]
    return float(-(there * np.log(there)).sum())


def stalled(loss: float, guessing: float, guess: str, learning_rate: float) -> str | None:
    """A sentence if the training loss (smoothed, at the end) is still about that of guessing.

    `guess`: how one would guess, as "guessing by frequency". Half the learning rate: shared/defaults.md.
    """
    if loss < NEAR * guessing:
        return None
    if loss > ABOVE * guessing:  # not yet there, or thrown back by the rate: the loss does not tell
        return (
            f"The training loss ended at {loss:.3f}, above what {guess} gives ({guessing:.3f}): the model "
            "has hardly learned. Try more epochs, or another learning rate."
        )
    return (
        f"The training loss ended at {loss:.3f}, about what {guess} gives ({guessing:.3f}): the model "
        f"has hardly learned. Try more epochs, or half the learning rate ({learning_rate / 2:.2g})."
    )
