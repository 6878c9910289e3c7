"""Python imports this first where the folder is on PYTHONPATH. The process whose module GREEDY names wants more memory than any
machine has, at each part of a training step."""

import os
import sys
from typing import Any

if os.environ.get("GREEDY", "nobody") in sys.orig_argv:
    import torch

    from worker.losses import CrossEntropy

    def batch(*_: Any) -> Any:
        return torch.empty(2**58)

    CrossEntropy.batch = batch  # type: ignore[assignment, method-assign]
