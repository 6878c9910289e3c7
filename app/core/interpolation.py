"""Between two models: the head-only one and the fine-tuned one of a run that fitted its head first (WiSE-FT, Wortsman et
al. 2022). What a trainer leaves in runs/ID/interpolation/, and how another point of the line becomes the download.

    head_only/, fine_tuned/    the weights of both ends, as in the download
    00/ … 10/                  of each tenth: outcome.json, heldout.parquet, and config.json and README.md of the download

No torch here: the web process does it.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from app.core.archive import zip_folder
from app.core.files import sync

ALPHAS = tuple(tenth / 10 for tenth in range(11))
HEAD_ONLY, FINE_TUNED, OUTCOME = "head_only", "fine_tuned", "outcome.json"


def point(alpha: float) -> str:
    """The folder of one of ALPHAS."""
    return f"{round(10 * alpha):02}"


def build(line: Path, alpha: float, model: Path, target: Path) -> None:
    """Writes (1 - alpha) · head_only + alpha · fine_tuned with the files of that point into `model`, and its zip to
    `target`; both are replaced as wholes. `line`: the folder described above. What else lies in `model` stays."""
    part = model.with_name(f"{model.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    weights = {path.name for path in (line / FINE_TUNED).iterdir()}
    shutil.copytree(model, part, ignore=lambda _folder, names: weights & set(names))
    for name in sorted(weights):
        _mix(line / HEAD_ONLY / name, line / FINE_TUNED / name, alpha, part / name)
    for name in ("config.json", "README.md"):
        shutil.copy(line / point(alpha) / name, part / name)
    for path in part.rglob("*"):
        sync(path)
    shutil.rmtree(model)
    os.replace(part, model)
    sync(model.parent)
    zip_folder(model, target)


def outcome(line: Path, alpha: float) -> dict[str, Any]:
    """{"metrics", "results"} of a point."""
    found: dict[str, Any] = json.loads((line / point(alpha) / OUTCOME).read_text(encoding="utf-8"))
    return found


def _mix(start: Path, end: Path, alpha: float, target: Path) -> None:
    """One safetensors file (or the index of several, which both have alike) out of two."""
    if end.suffix != ".safetensors" or alpha in (0.0, 1.0):
        shutil.copyfile(end if alpha else start, target)
        return
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(start, "np") as first, safe_open(end, "np") as second:
        mixed = {}
        for name in list(second.keys()):
            old, new = first.get_tensor(name), second.get_tensor(name)
            # So that what never learned keeps its bits.
            mixed[name] = old + np.float32(alpha) * (new - old) if new.dtype == np.float32 else new
        save_file(mixed, target, second.metadata())
