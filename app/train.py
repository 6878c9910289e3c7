"""`headstart train`: the whole way of a CSV without a browser, over the same store, checks and trainer."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.core import events, runs
from app.core.db import Database
from app.core.errors import HeadstartError, Invalid
from app.core.files import Files, make_home
from app.core.migrate import migrate
from app.core.settings import Settings
from app.core.tables import FINAL_STATES, Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run


def train_file(settings: Settings, file: Path, options: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """Uploads `file`, launches the run and waits for it, with a progress bar on stderr.

    Returns {"run", "metrics", "baselines"}; leaves the model folder in `out`, also that of a cancelled run.
    Raises HeadstartError.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Invalid(f"{out} exists and is not an empty folder: give another --out.")
    make_home(settings.home)
    database, files = Database(settings.database), Files(settings.files_root)
    migrate(database)
    store = DatasetStore(database, files)
    spec = {**options, "dataset": _import(store, file)}
    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    run_id = Launcher(database, files, store, models, enqueue=lambda _: None).launch(spec)
    run = _train(settings, database, run_id)
    if out is not None and files.model(run_id).is_dir():  # of a cancelled run: its best weights
        shutil.copytree(files.model(run_id), out, dirs_exist_ok=True)
    if run.state == "cancelled":
        raise HeadstartError("The run was cancelled.")
    if run.state != "succeeded":
        raise HeadstartError(
            f"The run {run.state}: {run.error['message'] if run.error else 'no reason is known.'}"
        )
    return {"run": run_id, "metrics": run.metrics, "baselines": run.baselines}


def _import(store: DatasetStore, file: Path) -> str:
    upload = store.begin(file.name, file.stat().st_size)
    try:
        with file.open("rb") as source:
            while chunk := source.read(2**20):
                upload.write(chunk)
        upload.commit()
    except BaseException:
        upload.abort()
        raise
    store.read(upload.id)
    view = store.view(upload.id)
    if view["state"] == "failed":
        raise Invalid(view["error"]["message"], view["error"]["problems"])
    return upload.id


def _train(settings: Settings, database: Database, run_id: str) -> Run:
    """Waits until the run is over and shows the progress. Ctrl-C cancels it; a second one ends it at once."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    supervising = _Supervising(settings, run_id)
    with Progress(*columns, console=console) as progress, _stop_signals_interrupt():
        bar = progress.add_task("starting", total=None, loss="")
        run, shown = _show(database, run_id, 0, progress, bar)
        interrupted = False
        try:
            while run.state not in FINAL_STATES:
                try:
                    supervising.go_on(run)
                    time.sleep(0.3)
                    run, shown = _show(database, run_id, shown, progress, bar)
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted = True
                    with database.write() as session:
                        run = runs.request_cancel(session, run_id, time.time())
                    console.print(
                        "Cancelling; the best weights so far are kept. Ctrl-C again ends it at once."
                    )
        finally:
            supervising.stop()
    return run


class _Supervising:
    """The supervisor process of this command. It is out of reach of the terminal's Ctrl-C, and ends with us."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        self._settings, self._run_id = settings, run_id
        self._process: subprocess.Popen[bytes] | None = None

    def go_on(self, run: Run) -> None:
        """Sees to it that somebody trains the run: a worker beside us may have taken it, or an attempt may
        have crashed. Raises HeadstartError if the supervisor can't work."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            code = self._process.returncode
            self.stop()
            if code != 0:
                raise HeadstartError(f"The process that watches the training ended with code {code}.")
        if run.state == "queued" or runs.is_lost(run, time.time()):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.supervisor", self._run_id],
                stdin=subprocess.PIPE,  # closes when we die, however we die
                env={**os.environ, **self._settings.environment()},
                start_new_session=True,
            )

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


@contextlib.contextmanager
def _stop_signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal do what Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _show(database: Database, run_id: str, seq: int, progress: Progress, bar: Any) -> tuple[Run, int]:
    with database.read() as session:
        run = runs.get(session, run_id)
        news = events.after(session, run_id, seq)
    for event in news:
        if event.kind == "log":
            progress.console.print(event.payload["message"], markup=False, highlight=False)
        if event.kind == "point" and "train/loss" in event.payload:
            progress.update(bar, loss=f"loss {event.payload['train/loss']['value'][-1] or 0:.3f}")
    progress.update(bar, description=run.phase or run.state, completed=run.step, total=run.steps or None)
    return run, news[-1].seq if news else seq
