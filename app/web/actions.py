"""What a user can do with a run or a data set: the functions that pages and the JSON API share."""

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import defer
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, col

from app.core import queue_order, runs
from app.core.errors import Conflict, HeadstartError, Invalid, NotFound, Problem, TooLarge
from app.core.removal import remove_run
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, Dataset, Run
from app.tasks import task
from app.web.services import Services

MAX_INPUTS = 1000
ENDED = {
    "succeeded": "The run has succeeded",
    "failed": "The run failed",
    "cancelled": "The run was cancelled",
}
MAX_LISTED = 500  # runs in the list, the newest
SAMPLE = Path(__file__).parents[1] / "datasets" / "sample.csv"


def run_view(services: Services, run_id: str) -> dict[str, Any]:
    """A run as the API shows it, with `dataset_name`, its `place` in the queue, `checkpoint` and `adapter` (their addresses, None while there is none)."""
    with services.database.read() as session:
        return run_view_in(services, session, run_id)


def run_view_in(services: Services, session: Session, run_id: str) -> dict[str, Any]:
    """The same out of the caller's snapshot."""
    run = runs.get(session, run_id)
    dataset = session.get(Dataset, run.dataset_id)
    places = queue_order.places(session) if run.state == "queued" else {}
    return _complete(services, run, dataset.name if dataset else run.dataset_id, places)


def run_views(services: Services) -> list[dict[str, Any]]:
    """All runs, newest first, without their results (which can be long)."""
    with services.database.read() as session:
        names = {key: name for key, name in session.execute(select(col(Dataset.id), col(Dataset.name)))}
        query = select(Run).options(defer(Run.results)).order_by(col(Run.created_at).desc(), col(Run.id))  # type: ignore[arg-type]
        found = list(session.execute(query.limit(MAX_LISTED)).scalars())
        for run in found:  # otherwise the view would fetch each of them after all
            set_committed_value(run, "results", None)
        places = queue_order.places(session)
        views = [_complete(services, run, names.get(run.dataset_id, run.dataset_id), places) for run in found]
    for view in views:
        del view["results"]
    return views


def cancel(services: Services, run_id: str) -> dict[str, Any]:
    """Asks the run to stop, or cancels it if it has not begun. Raises NotFound, Conflict."""
    with services.database.write() as session:
        runs.request_cancel(session, run_id, services.clock())
    return run_view(services, run_id)


def pause(services: Services, run_id: str) -> dict[str, Any]:
    """Asks the run to write a checkpoint and make room, or takes it out of the queue. Raises NotFound, Conflict."""
    with services.database.write() as session:
        runs.request_pause(session, run_id, services.clock())
    return run_view(services, run_id)


def resume(services: Services, run_id: str) -> dict[str, Any]:
    """Puts a paused run back into the queue, and wakes a worker. Raises NotFound, Conflict."""
    with services.database.write() as session:
        queued = runs.request_resume(session, run_id, services.clock()).state == "queued"
    if queued:
        services.launcher.wake(run_id)
    return run_view(services, run_id)


def retry(services: Services, run_id: str) -> dict[str, Any]:
    """Queues a failed or cancelled run again, and wakes a worker. Raises NotFound, Conflict."""
    with services.database.write() as session:
        runs.request_retry(session, run_id, services.clock())
    services.launcher.wake(run_id)
    return run_view(services, run_id)


def move(services: Services, run_id: str, value: Any) -> dict[str, Any]:
    """Moves a queued run within the queue: `value` is {"to": …} or {"priority": …}. Raises Invalid, NotFound, Conflict."""
    fields = value if isinstance(value, dict) else {}
    if len(fields) != 1 or not set(fields) <= {"to", "priority"}:
        raise Invalid('Send {"to": "first"} (or up, down, last), or {"priority": 1}.')
    priority = fields.get("priority", 0)
    most = queue_order.MAX_PRIORITY
    if isinstance(priority, bool) or not isinstance(priority, int) or not -most <= priority <= most:
        raise Invalid(f"A priority is a whole number from {-most:,} to {most:,}, not {priority!r}.")
    with services.database.write() as session:
        if "to" in fields:
            queue_order.move(session, run_id, queue_order.checked(fields["to"]), services.clock())
        else:
            queue_order.set_priority(session, run_id, priority, services.clock())
    return run_view(services, run_id)


def delete_run(services: Services, run_id: str) -> int:
    """Removes a run that is over with its curves and files; returns the bytes freed. Raises NotFound, Conflict."""
    return remove_run(services.database, services.files, run_id)


def check(services: Services, value: Any) -> dict[str, Any]:
    """What a spec would do, without starting it. Raises Invalid with every problem."""
    prepared = services.launcher.prepare(value)
    return {
        "spec": prepared.spec.model_dump(mode="json"),
        "rows": prepared.rows,
        "steps": prepared.steps,
        "classes": prepared.classes,
        "what": task(prepared.spec.task).describe(prepared.labels),
        "dropped": prepared.dropped,
        "why": prepared.why,
    }


def predict(services: Services, run_id: str, value: Any) -> list[dict[str, Any]]:
    """Predicts `value` = {"inputs": [...]}. Raises Invalid, TooLarge; Conflict for an unfinished run and for a task that
    answers nothing."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    known = task(run.task)
    if not known.predicts:
        raise Conflict(f"{known.title} answers nothing by itself: use its model as the base of another run.")
    inputs = checked_inputs(value, RunSpec.model_validate(run.spec))
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: it can be tried once it has finished.")
    if not services.files.model(run_id).is_dir():
        raise Conflict(f"{ENDED[run.state]} without a model, so there is nothing to try.")
    return services.predictor.predict(run_id, inputs) if inputs else []


def checked_inputs(value: Any, spec: RunSpec) -> list[Any]:
    """The inputs of a predict body, for a run with `spec`. Raises Invalid with every problem; TooLarge for more than 1,000."""
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), list):
        raise Invalid('Send {"inputs": ["a text", …]}: a list under the name inputs.')
    if unknown := sorted(set(value) - {"inputs"}):
        raise Invalid(f"There is no field {unknown[0]!r}; remove it or check its spelling.")
    inputs: list[Any] = value["inputs"]
    if len(inputs) > MAX_INPUTS:
        raise TooLarge(f"{len(inputs):,} inputs at once; {MAX_INPUTS:,} are possible. Send them in parts.")
    problems: list[Problem] = [
        {"where": f"inputs.{index}", "message": message}
        for index, item in enumerate(inputs)
        if (message := task(spec.task).wrong_input(item, spec)) is not None
    ]
    if problems:
        raise Invalid.from_problems("The inputs can't be used", problems)
    return inputs


def checkpoint_path(services: Services, run_id: str) -> Path:
    """The file to download. Raises NotFound; Conflict while (or because) there is none."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    path = services.files.checkpoint_zip(run_id)
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: its checkpoint can be downloaded once it has finished.")
    if not path.is_file():
        raise Conflict(f"{ENDED[run.state]} before there was a checkpoint to download.")
    return path


def adapter_path(services: Services, run_id: str) -> Path:
    """The adapter of a run with the strategy lora. Raises NotFound; Conflict while there is none yet."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
    path = services.files.adapter_zip(run_id)
    if run.spec["strategy"]["kind"] != "lora":
        raise NotFound("Only a run with the strategy lora has an adapter; download its checkpoint instead.")
    if run.state not in FINAL_STATES:
        raise Conflict(f"The run is {run.state}: its adapter can be downloaded once it has finished.")
    if not path.is_file():
        raise NotFound(f"{ENDED[run.state]} before there was an adapter to download.")
    return path


def sample_bytes() -> bytes:
    """The sample data set that comes with Headstart. Raises NotFound in a broken installation."""
    try:
        return SAMPLE.read_bytes()
    except OSError as error:
        raise NotFound("The sample data set is missing from this installation of Headstart.") from error


def problems_of(error: HeadstartError) -> list[Problem]:
    """An error as problems, even if it has only its sentence."""
    return list(error.problems) or [{"where": "", "message": error.message}]


def _complete(
    services: Services, run: Run, dataset_name: str, places: dict[str, tuple[int, str]]
) -> dict[str, Any]:
    view = runs.view(run, services.clock())
    # How many start before it, and the name of the run that it stands behind.
    view["place"], view["behind"] = places.get(run.id, (None, ""))
    has_zip = run.state in FINAL_STATES and services.files.checkpoint_zip(run.id).is_file()
    view["dataset_name"] = dataset_name
    has_adapter = run.state in FINAL_STATES and services.files.adapter_zip(run.id).is_file()
    view["adapter"] = f"/api/runs/{run.id}/adapter.zip" if has_adapter else None
    view["checkpoint"] = f"/api/runs/{run.id}/checkpoint.zip" if has_zip else None
    return view
