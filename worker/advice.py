"""What to tell the user after a training that went nowhere."""

import numpy as np
import numpy.typing as npt

# A model that only knows how frequent each label is has exactly the entropy of the labels as its loss.
NEAR = 0.95


def stalled(loss: float, truth: npt.NDArray[np.int64], learning_rate: float) -> str | None:
    """A sentence if the training loss (nats, smoothed, at the end) is still about that of guessing by frequency.

    `truth`: int64 (n,) class numbers of the training rows. Half the learning rate: shared/defaults.md.
    """
    shares = np.bincount(truth) / len(truth)
    entropy = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    if loss < NEAR * entropy:
        return None
    return (
        f"The training loss ended at {loss:.3f}, about what guessing by frequency gives ({entropy:.3f}): the model "
        f"has hardly learned. Try more epochs, or half the learning rate ({learning_rate / 2:.2g})."
    )
