"""Random numbers that depend on (seed, purpose, step) alone, never on what the process did before.

A warm trainer process, a resumed run and a second run in the same process draw the same numbers,
because each consumer (head initialisation, order of an epoch, dropout of a step) reseeds for itself.
"""

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, purpose: str, step: int = 0) -> int:
    """63 bits out of SHA-256("seed|purpose|step"): a seed of its own for each purpose and step."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def reseed(seed: int, purpose: str, step: int = 0) -> None:
    """Sets the generators of python, numpy and torch (torch.manual_seed sets every CUDA device as well)."""
    value = derive(seed, purpose, step)
    random.seed(value)
    np.random.seed(value % 2**32)  # the legacy generator, which libraries draw from; it takes 32 bits
    torch.manual_seed(value)
