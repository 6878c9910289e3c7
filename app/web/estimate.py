"""What a run will take: its time, told from an earlier run with the same model on this machine, and its memory."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import load_only
from sqlmodel import Session, col

from app.core.spec import RunSpec
from app.core.tables import Point, Run
from app.models.learning import Level
from app.models.stack import KEPT, KEPT_OF_ATTENTION, Stack
from app.tasks import task
from app.web.standing import is_fitted

LOOK_BACK = 100  # finished runs
# Bytes of a trainer that has read its rows and no model yet: most of them are libraries.
PROCESS = 560 * 10**6

Price = Callable[[dict[str, Any]], float | None]


def estimated_seconds(
    session: Session, spec: dict[str, Any], steps: int, price: Price = lambda _spec: None
) -> tuple[float, dict[str, Any]] | None:
    """Seconds for `steps` steps of `spec`, and the spec of the run that tells it; None if no run of this task with this model
    has succeeded here yet.

    Scaled by the texts that are learned. How long the texts are counts most, so a run on the same data with the same
    maximum length tells more than a newer one on other data. Where `steps` is only a first guess (windows, blocks), nothing
    but such a run tells anything. `price(spec)`: what a training text costs, all epochs together, for runs of another strategy;
    None: not known, and only runs of the same strategy count.
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
    alike = ("task", "model")
    nearer = ("dataset", "columns", "max_length")
    needed = alike if known else (*alike, *nearer, "strategy", "split", "truncation")
    ratios: list[tuple[int, float, Run]] = []
    for run in session.execute(query).scalars():
        if run.steps and run.finished_at and all(run.spec.get(name) == spec.get(name) for name in needed):
            ratio = _ratio(spec, steps, run, known, price)
            same = sum(run.spec.get(name) == spec.get(name) for name in (*nearer, "strategy"))
            if ratio is not None:
                ratios.append((same, ratio, run))
    if not ratios:
        return None
    # max keeps the first of equals: the newest.
    _, ratio, best = max(ratios, key=lambda found: found[0])
    assert best.finished_at is not None and best.started_at is not None
    whole = best.finished_at - best.started_at
    training = _training_seconds(session, best.id) or whole
    return float(whole - training + training * ratio), best.spec


def memory_bytes(stack: Stack, levels: list[Level], spec: RunSpec, words: bool) -> float:
    """The peak of a training on a CPU, of texts of the maximum length: weights, gradients and Adam's two moments of what
    learns, what the blocks keep for the backward pass, and the process. `words`: the head is as wide as the vocabulary."""
    assert spec.batch_size and spec.max_length
    learns = sum(level.learns for level in levels)
    weights = sum(level.numbers for level in levels) + sum(level.learns for level in levels if level.adapter)
    lowest = next((place for place, level in enumerate(levels) if level.learns), len(levels))
    blocks = stack.repeats * sum(max(1, lowest) <= place for place in range(1, len(levels) - 1))
    row = 4 * KEPT * spec.max_length * stack.hidden + 4 * KEPT_OF_ATTENTION * stack.heads * spec.max_length**2
    # A block that keeps nothing needs about half of it while it runs. Logits: they, their softmax, their gradient.
    kept = spec.batch_size * row * max(blocks, 0.5)
    logits = 12 * spec.batch_size * spec.max_length * stack.words if words else 0
    return PROCESS + 4 * weights + 12 * learns + kept + logits


def _ratio(spec: dict[str, Any], steps: int, run: Run, known: bool, price: Price) -> float | None:
    """How many times the training of `run` that of `spec` is."""
    epochs, before = spec["epochs"], run.spec.get("epochs")
    fitted, was_fitted = is_fitted(spec), is_fitted(run.spec)
    same = run.spec.get("strategy") == spec.get("strategy") and fitted == was_fitted
    if not known:
        return (float(epochs / before) if epochs and before else 1.0) if same else None
    texts = steps * _texts_a_step(spec) / (run.steps * _texts_a_step(run.spec))
    if same and not fitted:
        return texts
    # A head that is fitted has no epochs of rows to count.
    if all(run.spec.get(name) == spec.get(name) for name in _DATA):
        rows = 1.0
    elif epochs and before:
        rows = texts * before / epochs
    else:
        return None
    mine, theirs = (1.0, 1.0) if same else (price(spec), price(run.spec))
    return rows * mine / theirs if mine and theirs else None


def _training_seconds(session: Session, run_id: str) -> float | None:
    """From the first step to the last, evaluations between them included; None without two of them."""
    query = select(func.min(col(Point.time)), func.max(col(Point.time))).where(
        col(Point.run_id) == run_id, col(Point.series) == "train/loss"
    )
    first, last = session.execute(query).one()
    return last - first if first is not None and last > first else None


def _texts_a_step(spec: dict[str, Any]) -> int:
    return int(spec["batch_size"]) * int(spec.get("accumulation", 1))


_DATA = ("dataset", "dataset_version", "columns", "split")
_NEEDED: Any = (Run.spec, Run.steps, Run.started_at, Run.finished_at)
