"""local:NAME: a folder under HEADSTART_MODELS, and nothing outside of it."""

import os
import re
from pathlib import Path

from app.models.info import ModelInfo, describe
from app.models.inspect import Unusable

_NAME = re.compile(r"[\w.-]+")


def local_names(models: Path | None) -> list[str]:
    """The folders under HEADSTART_MODELS by name, hidden ones left out; [] without such a folder."""
    if models is None:
        return []
    try:
        with os.scandir(models) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
    except OSError:
        return []


def local_folder(models: Path | None, name: str) -> Path:
    """The real folder of local:NAME. Raises Unusable for a name that is no plain segment, or that leads outside."""
    # fullmatch: `$` would let a newline pass.
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise Unusable(
            "is no folder's name: write local:NAME with letters, digits, dots, hyphens and underscores only"
        )
    if models is None:
        raise Unusable("can't be found, since HEADSTART_MODELS names no folder of models")
    folder = models / name
    if not folder.is_dir():
        raise Unusable(f"does not exist under HEADSTART_MODELS ({models})")
    root, real = models.resolve(), folder.resolve()
    if real == root or not real.is_relative_to(root):
        raise Unusable("is a link that leaves HEADSTART_MODELS: put a copy in its place")
    return real


def local(models: Path | None, name: str) -> ModelInfo:
    """What local:NAME is. Raises Unusable."""
    folder = local_folder(models, name)
    assert models is not None
    return describe(folder, f"local:{name}", name, "local", "local folder", root=models)


def listed(models: Path | None) -> list[ModelInfo]:
    """Every folder under HEADSTART_MODELS; an unusable one without tasks and with the reason as its note."""
    found = []
    for name in local_names(models):
        try:
            found.append(local(models, name))
        except Unusable as reason:
            found.append(
                ModelInfo(
                    f"local:{name}",
                    title=name,
                    family="",
                    kind="local",
                    tasks=[],
                    note=f"can't be used: it {reason}",
                )
            )
    return found
