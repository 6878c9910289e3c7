"""What a user can do with files to be predicted: shared by their pages and the JSON API."""

import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlmodel import col

from app.core import file_predictions, runs
from app.core.errors import Conflict, Invalid, NotFound, Problem
from app.core.files import ID_PATTERN, new_id
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, FilePrediction, Run
from app.datasets.upload import ORIGINAL, Incoming, is_alive, label
from app.tasks import TASKS, task
from app.web.services import Services
from app.web.uploads import write_all

ORPHAN_SECONDS = 3600.0
LONGEST = 1000  # characters of a column's name: it stands in the record and in each message about it


async def receive(
    services: Services,
    run_id: str,
    name: str,
    chunks: AsyncIterator[bytes],
    expected: int | None,
    columns: Mapping[str, str],
) -> dict[str, Any]:
    """Stores a file and queues it. `columns`: role → column; what is not named is the column of the run's own data.

    Raises NotFound, Conflict (no finished model), Invalid, NoSpace.
    """
    shown = label(name)
    chosen = await run_in_threadpool(_columns_of, services, run_id, columns)
    # The original, its rows once more, and the result.
    await run_in_threadpool(services.files.require_free, 3 * (expected or 0), f"predicting {shown}")
    file_id = new_id()
    incoming = Incoming(services.files, services.files.predicted(run_id, file_id), shown)
    try:
        await write_all(incoming, chunks)
        await run_in_threadpool(incoming.commit)
        return await run_in_threadpool(_queue, services, run_id, file_id, shown, chosen)
    except BaseException:
        incoming.abort()
        raise


def _queue(
    services: Services, run_id: str, file_id: str, name: str, columns: dict[str, str]
) -> dict[str, Any]:
    with services.database.write() as session:
        runs.get(session, run_id)
        made = file_predictions.create(session, run_id, name, columns, services.clock(), file_id)
        return file_predictions.view(made)


def sweep(services: Services) -> None:
    """Removes what uploads left whose process died: folders without a record that nobody writes into."""
    with services.database.read() as session:
        known = set(session.execute(select(col(FilePrediction.id))).scalars())
    for folder in services.files.root.glob("runs/*/files/*"):
        if folder.name in known or is_alive(folder):
            continue
        # All of it has come in: perhaps another process is about to write its record.
        whole = (folder / ORIGINAL).exists()
        if not whole or services.clock() - folder.stat().st_mtime > ORPHAN_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def views(services: Services, run_id: str) -> list[dict[str, Any]]:
    """The files of a run, newest first. Raises NotFound."""
    with services.database.read() as session:
        runs.get(session, run_id)
        return [file_predictions.view(found) for found in file_predictions.listed(session, run_id)]


def section(services: Services, run_id: str) -> dict[str, Any]:
    """What templates/run/_files.html shows."""
    with services.database.read() as session:
        run = runs.get(session, run_id)
        found = file_predictions.listed(session, run_id)
    over = run.state in FINAL_STATES
    can = over and run.task in TASKS and TASKS[run.task].predicts and services.files.model(run_id).is_dir()
    files = [file_predictions.view(one) for one in found] if can else []
    return {
        "run_id": run_id,
        "can_predict_files": can,
        "files": files,
        "takes_tokens": can and TASKS[run.task].takes_tokens,
        "file_columns": default_columns(RunSpec.model_validate(run.spec)) if can else {},
        "files_live": any(one["state"] in ("queued", "running") for one in files),
    }


def view(services: Services, run_id: str, file_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    with services.database.read() as session:
        return file_predictions.view(file_predictions.get(session, run_id, file_id))


def cancel(services: Services, run_id: str, file_id: str) -> dict[str, Any]:
    """Raises NotFound, Conflict."""
    with services.database.write() as session:
        found = file_predictions.request_cancel(session, run_id, file_id, services.clock())
        return file_predictions.view(found)


def retry(services: Services, run_id: str, file_id: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """Tries a failed or cancelled file again; a role that `columns` does not name keeps its column. Raises NotFound,
    Conflict, Invalid."""
    before = view(services, run_id, file_id)["columns"]
    chosen = _columns_of(
        services, run_id, before | {role: name for role, name in columns.items() if name.strip()}
    )
    with services.database.write() as session:
        return file_predictions.view(file_predictions.retry(session, run_id, file_id, chosen))


def delete(services: Services, run_id: str, file_id: str) -> None:
    """Raises NotFound, Conflict while it is predicted."""
    with services.database.write() as session:
        file_predictions.remove(session, run_id, file_id)
    shutil.rmtree(services.files.predicted(run_id, file_id), ignore_errors=True)


def result_path(services: Services, run_id: str, file_id: str) -> tuple[Path, str]:
    """The file to download and its name. Raises NotFound, Conflict."""
    found = view(services, run_id, file_id)
    path = services.files.predicted(run_id, file_id) / "result.csv"
    if found["state"] != "succeeded" or not path.is_file():
        raise Conflict(f"{found['name']} is {found['state']}: there is no result to download.")
    return path, f"{Path(found['name']).stem}-predicted.csv"


def default_columns(spec: RunSpec) -> dict[str, str]:
    """The columns that a file is expected to have: those of the run's own data."""
    known = {role.name: spec.columns.get(role.name) for role in task(spec.task).input_roles(spec)}
    return {role: column if isinstance(column, str) else role for role, column in known.items()}


def _columns_of(services: Services, run_id: str, columns: Mapping[str, str]) -> dict[str, str]:
    with services.database.read() as session:
        run: Run = runs.get(session, run_id)
    known = task(run.task)
    if not known.predicts:
        raise Conflict(f"{known.title} answers nothing by itself: use its model as the base of another run.")
    if run.state not in FINAL_STATES or not services.files.model(run_id).is_dir():
        raise Conflict("This run has no finished model, so it can't predict a file.")
    expected = default_columns(RunSpec.model_validate(run.spec))
    problems: list[Problem] = [
        {"where": f"columns.{role}", "message": f"there is no such role here; there is {', '.join(expected)}"}
        for role in columns
        if role not in expected
    ]
    problems += [
        {
            "where": f"columns.{role}",
            "message": f"has {len(column):,} characters; no column's name has more than {LONGEST:,}",
        }
        for role, column in columns.items()
        if role in expected and len(column) > LONGEST
    ]
    if problems:
        raise Invalid.from_problems("The file can't be predicted", problems)
    return {role: columns.get(role, "").strip() or column for role, column in expected.items()}


def checked_id(file_id: str) -> str:
    """Raises NotFound for what is none of our ids."""
    if not ID_PATTERN.match(file_id):
        raise NotFound(f"There is no predicted file {file_id!r}: its id is 12 characters of a-z and 0-9.")
    return file_id
