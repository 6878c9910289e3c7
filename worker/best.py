"""The best weights so far, kept on disk while the training goes on."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


def save(model: Any, names: Iterable[str], path: Path) -> None:
    """The parameters `names` of `model` in place of those at `path`, whole or not at all."""
    part = path.with_suffix(".part")
    save_file(
        _without_aliases({name: model.get_parameter(name).detach().contiguous() for name in names}), part
    )
    os.replace(part, path)


def load(model: Any, path: Path) -> None:
    """What save() kept, back into `model`; what is not there stays as it is."""
    model.load_state_dict(load_file(path), strict=False)
    model.tie_weights()


def _without_aliases(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tied weights once: safetensors refuses two names for one memory; loading ties them again."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in state.items():
        if tensor.data_ptr() in seen and tensor.numel():
            continue
        seen.add(tensor.data_ptr())
        kept[name] = tensor
    return kept
