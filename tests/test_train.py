"""`headstart train` beside everything that may happen to it: Ctrl-C, a kill, a worker that takes its run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from app.core import runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from tests.serving import toy_csv
from tests.waiting import until
from tests.worker.tiny import build_bert, toy

pytestmark = pytest.mark.slow


@pytest.fixture
def training(settings: Settings, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A `headstart train` that would go on for minutes."""
    assert settings.models_dir is not None
    build_bert(settings.models_dir / "tiny", toy(200)[0])
    (tmp_path / "toy.csv").write_text(toy_csv())
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "app.cli", "train", str(tmp_path / "toy.csv")),
            *("--text", "text", "--label", "label", "--model", "local:tiny"),
            *("--epochs", "1000", "--batch-size", "16", "--max-length", "32", "--out", str(tmp_path / "out")),
        ],
        env={**os.environ, **settings.environment()},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


def only_run(database: Database) -> Run | None:
    with database.read() as session:
        return next(iter(runs.listed(session)), None)


def evaluated(database: Database) -> Callable[[], Run | None]:
    def look() -> Run | None:
        run = only_run(database)
        return run if run is not None and run.best_step else None

    return look


def gone(processes: list[psutil.Process]) -> bool:
    states = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            states.append(one.status())
    return all(state == psutil.STATUS_ZOMBIE for state in states)


def test_an_interrupt_cancels_the_run_and_keeps_its_best_weights(
    training: "subprocess.Popen[bytes]", database: Database, files: Files, tmp_path: Path
) -> None:
    run = until(evaluated(database), "an evaluation")
    started = psutil.Process(training.pid).children(recursive=True)
    assert len(started) == 2
    training.send_signal(signal.SIGINT)
    assert training.wait(60) == 1
    after = only_run(database)
    assert after is not None
    assert after.state == "cancelled"
    assert files.checkpoint_zip(run.id).exists()
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert gone(started)


def test_a_kill_leaves_no_process_behind(training: "subprocess.Popen[bytes]", database: Database) -> None:
    until(evaluated(database), "an evaluation")
    started = psutil.Process(training.pid).children(recursive=True)
    training.kill()
    until(lambda: gone(started), "its processes to end")
    run = only_run(database)
    assert run is not None
    assert run.state == "queued"
