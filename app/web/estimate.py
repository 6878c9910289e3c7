"""How long a run will take, told from how long an earlier one with the same model took on this machine."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import load_only
from sqlmodel import Session, col

from app.core.spec import RunSpec
from app.core.tables import Run
from app.tasks import task

LOOK_BACK = 100  # finished runs


def estimated_seconds(session: Session, spec: dict[str, Any], steps: int) -> float | None:
    """Seconds for `steps` steps of `spec`; None if no run of this task with this model has succeeded here yet.

    Scaled by the texts that are learned. How long the texts are counts most, so a run on the same data with the same
    maximum length tells more than a newer one on other data. Where `steps` is only a first guess (windows, blocks), nothing
    but such a run tells anything.
    """
    known = task(spec["task"]).steps_known(RunSpec.model_validate(spec))
    query = (
        select(Run)
        .options(load_only(*_NEEDED))
        .where(col(Run.state) == "succeeded", col(Run.started_at).is_not(None), col(Run.attempt) == 1)
        .order_by(col(Run.finished_at).desc())
        .limit(LOOK_BACK)
    )
    # Another task measures otherwise, which can take longer than learning.
    alike = ("task", "model", "strategy")
    nearer = ("dataset", "columns", "max_length")
    needed = alike if known else (*alike, *nearer, "split", "truncation")
    found = [
        run
        for run in session.execute(query).scalars()
        if run.steps and run.finished_at and all(run.spec.get(name) == spec.get(name) for name in needed)
    ]
    if not found:
        return None
    # max keeps the first of equals: the newest.
    best = max(found, key=lambda run: sum(run.spec.get(name) == spec.get(name) for name in nearer))
    assert best.finished_at is not None and best.started_at is not None
    seconds = best.finished_at - best.started_at
    if not known:
        return float(seconds * spec["epochs"] / best.spec["epochs"])
    share = steps * _texts_a_step(spec) / (best.steps * _texts_a_step(best.spec))
    return float(seconds * share)


def _texts_a_step(spec: dict[str, Any]) -> int:
    return int(spec["batch_size"]) * int(spec.get("accumulation", 1))


_NEEDED: Any = (Run.spec, Run.steps, Run.started_at, Run.finished_at)
