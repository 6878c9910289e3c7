"""How far each level of a model has moved from the pre-trained one: |w - w0| / |w0|, in the 2-norm over all its weights."""

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from worker.transfer.blocks import stack_of


class Origin:
    """Where each parameter of a freshly loaded model has its pre-trained value in the files of `folder`.

    Only the places are kept; the values are read again one by one. Parameters that the folder did not bring, as a new head,
    have none.
    """

    def __init__(self, model: nn.Module, folder: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self._files.update(dict.fromkeys(file.keys(), path))
        stack = stack_of(model)
        prefix = str(getattr(model, "base_model_prefix", ""))
        self._of: dict[str, str] = {}
        with _Reader(self._files) as read:
            for name, parameter in model.named_parameters():
                found = next((one for one in _spellings(name, prefix) if one in self._files), None)
                if found is None:
                    continue
                head = stack.level[name] == stack.top  # a head of the same size may have been replaced
                if not head or _equal(read(found), parameter):
                    self._of[name] = found

    def drift(self, model: nn.Module) -> list[dict[str, Any]]:
        """[{"level": "block 3", "drift": 0.012, "learned": whether any of its weights moved}], from the bottom to the top;
        levels without a pre-trained value are left out."""
        stack = stack_of(model)
        moved, size = [0.0] * (stack.top + 1), [0.0] * (stack.top + 1)
        with torch.no_grad(), _Reader(self._files) as read:
            for name, parameter in model.named_parameters():
                if name not in self._of:
                    continue
                before = read(self._of[name]).to(parameter)
                now = parameter[: len(before)] if parameter.ndim else parameter  # a token may have been added
                if now.shape == before.shape:
                    size[stack.level[name]] += _square(before)
                    moved[stack.level[name]] += _square(now - before)
        return [
            {
                "level": stack.names[level],
                "drift": math.sqrt(moved[level] / whole),
                "learned": moved[level] > 0,
            }
            for level, whole in enumerate(size)
            if whole > 0 and math.isfinite(moved[level])
        ]


class _Reader:
    """Tensors by name out of files that stay open meanwhile; each is read when it is asked for."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files, self._stack = files, ExitStack()
        self._open: dict[Path, Any] = {}

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, name: str) -> Tensor:
        path = self._files[name]
        if path not in self._open:
            self._open[path] = self._stack.enter_context(safe_open(path, "pt"))
        tensor: Tensor = self._open[path].get_tensor(name)
        return tensor


def _spellings(name: str, prefix: str) -> list[str]:
    """What a parameter may be called in a folder: with the trunk's prefix or without, and as in the first BERTs."""
    bare = name.removeprefix(f"{prefix}.")
    names = [name, bare, f"{prefix}.{bare}"]
    old = [
        one.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        for one in names
    ]
    return [*names, *old]


def _equal(before: Tensor, parameter: Tensor) -> bool:
    return before.shape == parameter.shape and torch.equal(before.to(parameter), parameter.detach())


def _square(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64)) ** 2
