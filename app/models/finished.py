"""run:ID: the finished model of an earlier run as the base of another."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import load_only
from sqlmodel import col

from app.core.db import Database
from app.core.files import ID_PATTERN, Files
from app.core.tables import FINAL_STATES, Run
from app.models.info import ModelInfo, describe
from app.models.inspect import Unusable


@dataclass(frozen=True)
class FinishedRun:
    """A run that is over. `folder`: its model, None if it has none. `labels`: of its head, [] without.
    `sha256`: of its weights as it was exported, None for a run of before they were noted."""

    id: str
    name: str
    task: str
    state: str
    model: str
    folder: Path | None
    labels: list[str]
    sha256: str | None
    fitted: bool = False  # whether its head was fitted to a frozen model, with weights of a size that can't go on learning
    finished_at: float | None = None


FindRun = Callable[[str], FinishedRun | None]


def finished_run(database: Database, files: Files, run_id: str) -> FinishedRun | None:
    """The run `run_id`, whatever its state; None if there is none."""
    if not ID_PATTERN.match(run_id):
        return None
    with database.read() as session:
        run = session.get(Run, run_id)
    return None if run is None else _finished(run, files)


def finished_runs(database: Database, files: Files, most: int = 100) -> list[FinishedRun]:
    """The runs that have a model, the newest first; at most `most` of them."""
    needed: Any = (Run.id, Run.name, Run.task, Run.state, Run.spec, Run.weights_sha256, Run.finished_at)
    query = (
        select(Run)
        .options(load_only(*needed))
        .where(col(Run.state).in_(FINAL_STATES))
        .order_by(col(Run.finished_at).desc(), col(Run.id))
        .limit(most)
    )
    with database.read() as session:
        found = [_finished(run, files) for run in session.execute(query).scalars()]
    return [run for run in found if run.folder is not None]


def family_of(found: FinishedRun) -> str:
    """The family of a run's model, by its config.json alone; "" if it can't be read."""
    try:
        config = json.loads(((found.folder or Path()) / "config.json").read_text(encoding="utf-8"))
        return str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _finished(run: Run, files: Files) -> FinishedRun:
    folder = files.model(run.id)
    usable = run.state in FINAL_STATES and (folder / "config.json").is_file()
    return FinishedRun(
        id=run.id,
        name=run.name,
        task=run.task,
        state=run.state,
        model=str(run.spec.get("model", "")),
        folder=folder if usable else None,
        labels=labels_of(folder) if usable else [],
        sha256=run.weights_sha256,
        fitted=run.spec.get("epochs") is None,
        finished_at=run.finished_at,
    )


def model_of(found: FinishedRun) -> ModelInfo:
    """What run:ID is. Raises Unusable."""
    if found.state not in FINAL_STATES:
        raise Unusable(f"is {found.state} yet: wait until it has finished")
    if found.folder is None:
        raise Unusable(f"has {found.state} without a model")
    return describe(found.folder, f"run:{found.id}", found.name, "run", f"a {found.task} run of yours")


def labels_of(folder: Path) -> list[str]:
    """The labels of a model folder's head in their order; [] if it says none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = config.get("id2label") or {}
        return [names[key] for key in sorted(names, key=int)]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def folder_sha256(folder: Path) -> str:
    """SHA-256 over the folder's safetensors files, by name and content."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            whole.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()};".encode())
    return whole.hexdigest()
