"""`headstart runs | pause | resume | cancel | retry | move | clone | delete | log`: runs from the command line.

They work on the data folder itself, with a server beside them or without one: a run that is queued here starts when a worker
looks, at the latest a few seconds later.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from app.core import names, queue_order, run_log, runs
from app.core.db import Database
from app.core.errors import Invalid
from app.core.files import Files, folder_bytes, megabytes
from app.core.migrate import migrate
from app.core.removal import remove_run
from app.core.settings import Settings
from app.core.tables import FINAL_STATES, Run

Named = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, its id, or how one of them begins.")]
Home = Annotated[Path | None, typer.Option(help="The data folder (HEADSTART_HOME).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--option", help="FIELD=VALUE of the run spec that differs, as seed=2; may be given again."),
]
Ask = Callable[..., Run]


def register(cli: typer.Typer, read_settings: Callable[..., Settings], options: Callable[..., Any]) -> None:
    """Adds the commands to `cli`. `options`: --option FIELD=VALUE as fields of a spec, the strategy's merged."""

    @cli.command("runs")
    def listed(home: Home = None) -> None:
        """List the runs, newest first, with where each of them stands."""
        with _store(read_settings(home=home)) as (database, _), database.read() as session:
            found, places = runs.listed(session), queue_order.places(session)
        for run in found:
            print(f"{run.id}  {run.state:<9}  {_where(run, places):<28}  {run.name}".rstrip())
        if not found:
            print("There are no runs yet.")

    @cli.command()
    def pause(run: Named, home: Home = None) -> None:
        """Write a checkpoint and make room for others."""
        _ask(read_settings(home=home), run, runs.request_pause, "is paused", "writes a checkpoint and pauses")

    @cli.command()
    def resume(run: Named, home: Home = None) -> None:
        """Queue a paused run again."""
        _ask(read_settings(home=home), run, runs.request_resume, "is queued again", "goes on")

    @cli.command()
    def cancel(run: Named, home: Home = None) -> None:
        """Stop a run; its curve and its best weights so far stay."""
        stops = "stops, and keeps its best weights as soon as a worker is free"
        _ask(read_settings(home=home), run, runs.request_cancel, "is cancelled", stops)

    @cli.command()
    def retry(run: Named, home: Home = None) -> None:
        """Queue a failed or cancelled run again: from its checkpoint, or from the beginning if it has none."""
        with _store(read_settings(home=home)) as (database, _), database.write() as session:
            found = runs.request_retry(session, names.find_run(session, run).id, time.time())
            step = found.checkpoint_step
        where = f"goes on from step {step:,}" if step else "begins again"
        print(f"{found.name} ({found.id}) is queued and {where}.")

    @cli.command()
    def move(
        run: Named,
        to: Annotated[str, typer.Argument(metavar="|".join(queue_order.MOVES))] = "first",
        home: Home = None,
    ) -> None:
        """Move a queued run within the queue."""
        with _store(read_settings(home=home)) as (database, _), database.write() as session:
            found = names.find_run(session, run)
            queue_order.move(session, found.id, queue_order.checked(to), time.time())
            place = _place(*queue_order.places(session)[found.id])
        print(f"{found.name} ({found.id}) is {place}.")

    @cli.command()
    def clone(run: Named, option: Changes = None, home: Home = None) -> None:
        """Start a new run with the settings of this one, but for what --option says."""
        settings = read_settings(home=home)
        with _store(settings) as (database, files):
            with database.read() as session:
                found = names.find_run(session, run)
            new_id = _launcher(settings, database, files).clone(
                found.id, options(found.spec["strategy"], option or [])
            )
            with database.read() as session:
                print(f"{runs.get(session, new_id).name} ({new_id}) is queued.")

    @cli.command()
    def delete(
        run: Named,
        data: Annotated[bool, typer.Option("--data", help="RUN is the name or id of a data set.")] = False,
        yes: Yes = False,
        home: Home = None,
    ) -> None:
        """Delete a run that is over, or with --data a data set that no run uses; says what it frees, and asks."""
        with _store(read_settings(home=home)) as (database, files):
            with database.read() as session:
                one: Any = names.find_dataset(session, run) if data else names.find_run(session, run)
                if not data:
                    runs.check_removable(session, one.id)
            folder = files.dataset(one.id) if data else files.run(one.id)
            what = "file and rows" if data else "curves, results, model and download"
            question = (
                f"Delete {one.name} ({one.id}) with its {what}? That frees {megabytes(folder_bytes(folder))}."
            )
            if not yes and not typer.confirm(question):
                print("Nothing was deleted.")
                return
            freed = _delete_data(database, files, one.id) if data else remove_run(database, files, one.id)
            print(f"{one.name} is deleted; {megabytes(freed)} are free again.")

    @cli.command()
    def log(run: Named, home: Home = None) -> None:
        """Print the log of a run: what it reported, then what each attempt's process printed."""
        with _store(read_settings(home=home)) as (database, files):
            with database.read() as session:
                found = names.find_run(session, run).id
            sys.stdout.writelines(run_log.text(database, files, found))


@contextmanager
def _store(settings: Settings) -> Iterator[tuple[Database, Files]]:
    """The database and the files of a data folder that exists. Raises Invalid."""
    database = Database(settings.database)
    if not database.path.is_file():
        raise Invalid(f"There is no Headstart data in {settings.home}. Name the folder with --home.")
    try:
        migrate(database)
        yield database, Files(settings.files_root)
    finally:
        database.close()


def _ask(settings: Settings, said: str, move: Ask, done: str, asked: str) -> None:
    with _store(settings) as (database, _), database.write() as session:
        run = move(session, names.find_run(session, said).id, time.time())
        begins = run.state == "running" or run.cancel_requested
        print(f"{run.name} ({run.id}) {asked if begins and run.state not in FINAL_STATES else done}.")


def _where(run: Run, places: dict[str, tuple[int, str]]) -> str:
    if run.state not in FINAL_STATES and run.cancel_requested:
        return "stopping"
    if run.state == "queued":
        return _place(*places.get(run.id, (0, "")))
    if run.state == "running":
        return f"step {run.step:,} of {run.steps:,}" if run.phase in ("", "training") else run.phase
    if run.state == "paused":
        return f"at step {run.checkpoint_step:,} of {run.steps:,}"
    return str((run.error or {}).get("kind", "")) if run.state == "failed" else ""


def _place(before: int, _name: str) -> str:
    return "next in the queue" if not before else f"number {before + 1} in the queue"


def _launcher(settings: Settings, database: Database, files: Files) -> Any:
    from app.datasets.store import DatasetStore
    from app.launch import Launcher
    from app.models.catalog import ModelCatalog
    from app.models.finished import finished_run

    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    # Nobody is woken: a worker looks into the queue every few seconds by itself.
    return Launcher(database, files, DatasetStore(database, files), models, enqueue=lambda _: None)


def _delete_data(database: Database, files: Files, dataset_id: str) -> int:
    from app.datasets.store import DatasetStore

    return DatasetStore(database, files).delete(dataset_id)
