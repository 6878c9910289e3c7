"""Checkpoints in mid-run: everything that the next step depends on, in files that survive a crash.

    runs/ID/checkpoints/00000120/
        learned.safetensors     the parameters that learn
        moments.safetensors     the optimiser's two moments and step count of each of them
        best.safetensors        the best weights so far, where there are any
        manifest.json           where the training stands, and the SHA-256 of each file; written last

A folder is written under another name, each file and the folder are fsynced, and it is renamed: one without a manifest that
fits its files was cut off, and the one before it counts. Two are kept. What else a step needs is a pure function of the
seed and the step (order, dropout, learning rate: worker/seeds.py) or is loaded from the model that the run began with.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.core import manifest as manifests
from app.core.files import sync
from worker.loop import Place
from worker.optim import Group
from worker.ranks import whole

VERSION = 1
KEPT = 2
BEST = "best.safetensors"
Groups = Iterable[Group]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole. `facts`: what the caller gave to `save`."""

    folder: Path
    step: int
    facts: dict[str, Any]

    @property
    def best(self) -> Path | None:
        """The best weights at that time."""
        path = self.folder / BEST
        return path if path.exists() else None


def save(root: Path, place: Place, best: Path | None, facts: dict[str, Any]) -> Checkpoint:
    """Writes a checkpoint of a training that stands at `place` into `root` and removes those before the last two.

    `best`: the file of the best weights, if there is one; it must be replaced, never written into, since it is linked where
    the file system can. `facts`: JSON for whoever goes on. Raises OSError or SafetensorError (disk full), and then leaves
    nothing behind.
    """
    learned, moments = dict(_learned(place)), dict(_moments(place))
    name = f"{place.step:08d}"
    part = root / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        save_file(learned, part / "learned.safetensors")
        save_file(moments, part / "moments.safetensors")
        if best is not None:
            _link(best, part / BEST)
        manifest = {
            "version": VERSION,
            "step": place.step,
            "best": place.best,
            "stale": place.stale,
            "micro_batch": place.micro_batch,
            "facts": facts,
            "files": {path.name: _told(path) for path in sorted(part.glob("*.safetensors"))},
        }
        with (part / "manifest.json").open("w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        sync(part)
        shutil.rmtree(root / name, ignore_errors=True)
        part.rename(root / name)
        sync(root)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    thin(root, KEPT)
    return Checkpoint(root / name, place.step, facts)


def thin(root: Path, kept: int = 1) -> None:
    """Removes all but the newest `kept`."""
    for old in _folders(root)[kept:]:
        shutil.rmtree(old, ignore_errors=True)


def newest(root: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and a sentence for each that is not; those are removed."""
    faults: list[str] = []
    for folder in _folders(root):
        fault = manifests.fault(folder, VERSION)
        if fault is None:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            return Checkpoint(folder, manifest["step"], manifest["facts"]), faults
        faults.append(f"The checkpoint of step {int(folder.name)} can't be used ({fault}).")
        shutil.rmtree(folder, ignore_errors=True)
    return None, faults


def restore(checkpoint: Checkpoint, groups: Groups) -> Place:
    """Puts the checkpoint's weights into the parameters of `groups`; returns where the loop goes on.

    Raises ValueError if the groups are not those that were saved.
    """
    manifest = json.loads((checkpoint.folder / "manifest.json").read_text(encoding="utf-8"))
    learned = load_file(checkpoint.folder / "learned.safetensors")
    named = {
        name: parameter
        for group in groups
        for name, parameter in zip(group.names, group.parameters, strict=True)
    }
    if set(named) != set(learned):
        odd = sorted(set(named) ^ set(learned))[0]
        raise ValueError(f"the checkpoint of step {checkpoint.step} is of another model: {odd}")
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(learned[name])
    moments: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(checkpoint.folder / "moments.safetensors").items():
        name, _, what = key.rpartition("/")
        moments.setdefault(name, {})[what] = tensor
    best = manifest["best"]
    return Place(
        step=manifest["step"],
        best=None if best is None else (best[0], best[1]),
        stale=manifest["stale"],
        micro_batch=manifest["micro_batch"],
        moments=moments,
    )


def lend(place: Place) -> None:
    """What a process that is not the first does while that one saves: it gives its parts of the tensors that are spread."""
    for _ in (*_learned(place), *_moments(place)):
        pass


def _learned(place: Place) -> Iterator[tuple[str, Tensor]]:
    return ((name, _kept(parameter.detach())) for name, parameter in _named(place))


def _moments(place: Place) -> Iterator[tuple[str, Tensor]]:
    assert place.optimizer is not None
    for name, parameter in _named(place):
        # A parameter that has not begun to learn has none.
        for what, tensor in place.optimizer.state.get(parameter, {}).items():
            yield f"{name}/{what}", _kept(tensor)


def _named(place: Place) -> Iterator[tuple[str, Any]]:
    assert place.optimizer is not None
    for group in place.optimizer.param_groups:
        yield from zip(group["names"], group["params"], strict=True)


def _kept(tensor: Tensor) -> Tensor:
    """All of it; what was spread over several devices has no room on one."""
    found = whole(tensor)
    return (found if found is tensor else found.cpu()).contiguous()


def _told(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file that is on the disk for good."""
    sync(path)
    return manifests.told(path)


def _folders(root: Path) -> list[Path]:
    """The finished ones, newest first."""
    found = [path for path in root.glob("[0-9]*") if path.name.isdecimal()] if root.exists() else []
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
