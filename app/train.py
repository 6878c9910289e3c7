"""`headstart train`: the whole way of a CSV without a browser, over the same store, checks and trainer."""

import os
import shutil
import subprocess
import sys
import time
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


def train_file(settings: Settings, file: Path, options: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """Uploads `file`, launches the run and waits for it, with a progress bar on stderr.

    Returns {"run", "metrics", "baselines"}; leaves the model folder in `out`. Raises HeadstartError.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Invalid(f"{out} exists and is not an empty folder: give another --out.")
    make_home(settings.home)
    database, files = Database(settings.database), Files(settings.files_root)
    migrate(database)
    store = DatasetStore(database, files)
    spec = {**options, "dataset": _import(store, file)}
    run_id = Launcher(database, files, store, ModelCatalog(settings), enqueue=lambda _: None).launch(spec)
    run = _train(settings, database, run_id)
    if run.state != "succeeded":
        why = run.error["message"] if run.error else "It was cancelled."
        raise HeadstartError(f"The run {run.state}: {why}")
    if out is not None:
        shutil.copytree(files.model(run_id), out, dirs_exist_ok=True)
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
    """Starts supervisors until the run is over (a crashed attempt is queued again) and shows the progress."""
    console = Console(stderr=True)
    shown = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=None, loss="")
        while True:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "worker.supervisor", run_id],
                env={**os.environ, **settings.environment()},
            )
            try:
                while supervisor.poll() is None:
                    run, shown = _show(database, run_id, shown, progress, bar)
                    time.sleep(0.3)
            except KeyboardInterrupt:
                with database.write() as session:
                    runs.request_cancel(session, run_id, time.time())
                console.print("Cancelling …")
                supervisor.wait()
            run, shown = _show(database, run_id, shown, progress, bar)
            if run.state in FINAL_STATES:
                return run


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
