"""Which point between the head-only and the fine-tuned model is a run's download."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core import interpolation, weights
from app.core.errors import Conflict, Invalid
from app.core.files import folder_bytes
from app.core.interpolation import ALPHAS
from app.models.finished import folder_sha256
from app.tasks import heldout
from app.tasks.base import Metric
from app.web import actions, standing
from app.web.services import Services

WIDTH, HEIGHT, LEFT, TOP = 280, 130, 52, 8  # of the picture, without its margins


def move(services: Services, run_id: str, value: Any) -> dict[str, Any]:
    """Makes the point {"alpha": 0.6} the download, with its figures; returns the run's view.

    Raises NotFound; Invalid for no such point; Conflict for a run that is not over or has no such line, or whose model is
    another run's base; NoSpace.
    """
    alpha = _alpha(value)
    line, model = services.files.interpolation(run_id), services.files.model(run_id)
    with services.database.read() as session:
        weights.check_free(session, run_id)
    if not line.is_dir() or not model.is_dir():
        raise Conflict(
            "There is nothing to move between: only a run that fitted its head first (head_first) and succeeded keeps both models."
        )
    with _alone(line):
        services.files.require_free(2 * folder_bytes(model), "the model at another point")
        interpolation.build(line, alpha, model, services.files.checkpoint_zip(run_id))
        rows = services.files.run(run_id) / heldout.FILE
        part = rows.with_name(f"{rows.name}.part")
        shutil.copyfile(line / interpolation.point(alpha) / heldout.FILE, part)
        os.replace(part, rows)
        found = interpolation.outcome(line, alpha)
        with services.database.write() as session:
            run = weights.check_free(session, run_id)
            before = run.results or {}
            line_before = {**before.get("interpolation", {}), "download": alpha}
            results = {**before, **found["results"], "interpolation": line_before}
            said = f"The download is now {alpha:g} of the way from the head-only model to the fine-tuned one."
            sha256 = folder_sha256(model)
            weights.replace(session, run_id, found["metrics"], results, sha256, said, services.clock())
    return actions.run_view(services, run_id)


def picture(view: dict[str, Any]) -> dict[str, Any] | None:
    """Two curves over alpha: {"curves": {name: d of a path}, "points": [{"alpha", "x", "validation", "test", …}], "ticks", …}."""
    found = (view["results"] or {}).get("interpolation")
    if not found:
        return None
    metric = next(
        (one for one in standing.judged_by(view) if one.name == found["metric"]),
        Metric(found["metric"], found["metric"]),
    )
    values = {"validation": found["validation"], "held-out": found["test"]}
    low, high = (choose(value for curve in values.values() for value in curve) for choose in (min, max))
    pad = 0.08 * (high - low) or 0.01

    def place(alpha: float, value: float) -> tuple[float, float]:
        up = (value - low + pad) / (high - low + 2 * pad)
        return round(LEFT + alpha * WIDTH, 1), round(TOP + (1 - up) * HEIGHT, 1)

    def texts(name: str) -> list[str]:
        return [standing.figure(metric, value) for value in values[name]]

    points = [
        {
            "alpha": alpha,
            "x": place(alpha, low)[0],
            "y": place(alpha, value)[1],
            "validation": shown,
            "test": held,
            "chosen": alpha == found["chosen"],
            "download": alpha == found["download"],
        }
        for alpha, value, shown, held in zip(
            found["alphas"], found["validation"], texts("validation"), texts("held-out"), strict=True
        )
    ]
    return {
        "title": metric.title,
        "lower": found["lower"],
        "chosen": found["chosen"],
        "download": found["download"],
        "points": points,
        "curves": {
            name: "M"
            + "L".join("{} {}".format(*place(*pair)) for pair in zip(found["alphas"], curve, strict=True))
            for name, curve in values.items()
        },
        "ticks": [{"y": place(0, value)[1], "text": standing.figure(metric, value)} for value in (low, high)],
        "left": LEFT,
        "right": LEFT + WIDTH,
        "bottom": TOP + HEIGHT,
        "width": LEFT + WIDTH + 10,
        "height": TOP + HEIGHT + 34,
    }


def _alpha(value: Any) -> float:
    alpha = value.get("alpha") if isinstance(value, dict) and set(value) == {"alpha"} else None
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise Invalid('Send {"alpha": 0.6}: a number from 0 (the head-only model) to 1 (the fine-tuned one).')
    nearest = min(ALPHAS, key=lambda known: abs(known - alpha))
    if not abs(nearest - alpha) < 1e-6:
        raise Invalid(f"alpha is {alpha}; it must be a tenth from 0 to 1, as 0.6.")
    return nearest


@contextmanager
def _alone(line: Path) -> Iterator[None]:
    """One move at a time: two would write into one folder."""
    with (line / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("The model is being moved already; try again in a moment.") from None
        yield
