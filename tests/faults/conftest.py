"""What a run must still be after a fault: the weights, the curves and the figures of the same run undisturbed."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files
from app.core.migrate import migrate
from app.core.settings import Settings
from app.core.tables import Run
from tests.waiting import until
from tests.worker.real_runs import RealRuns

# Long enough for a fault to fall between the first and the last step, with a checkpoint several times a second.
LONG: dict[str, Any] = {
    "epochs": 300,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "eval_steps": 400,
    "checkpoint_seconds": 0.5,
    "max_length": 32,
}


@dataclass(frozen=True)
class Told:
    """What must be the same in an undisturbed and a disturbed run."""

    sha256: str | None
    points: dict[str, Any]
    metrics: dict[str, Any] | None


def told(database: Database, run_id: str) -> Told:
    """Of a run that has succeeded, in a database that is whole."""
    with database.read() as session:
        run = runs.get(session, run_id)
        curves = events.read_points(session, run_id)
    assert run.state == "succeeded", run.error
    with contextlib.closing(sqlite3.connect(database.path, timeout=60)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    steps = curves["train/loss"]["step"]
    assert steps == list(range(1, run.steps + 1))
    values = {name: (curve["step"], curve["value"]) for name, curve in curves.items()}
    values.pop("train/examples_per_second")
    return Told(run.weights_sha256, values, run.metrics)


@dataclass(frozen=True)
class Faulty:
    """A data folder with real runs, to be disturbed."""

    settings: Settings
    database: Database
    files: Files
    runs: RealRuns

    def in_background(self, run_id: str) -> threading.Thread:
        """Its next attempt; join the thread to wait for the end of it."""
        thread = threading.Thread(target=self.runs.supervisor.supervise, args=(run_id,))
        thread.start()
        return thread

    def kept(self, run_id: str) -> Run:
        """Once the run trains and has a checkpoint."""

        def reached() -> Run | None:
            run = self.runs.read(run_id)
            assert run.state in ("queued", "running"), (run.state, run.error)
            return run if run.state == "running" and run.checkpoint_step else None

        return until(reached, "a checkpoint")

    def told(self, run_id: str) -> Told:
        return told(self.database, run_id)


@contextlib.contextmanager
def data_folder(root: Path) -> Iterator[Faulty]:
    """In `root`/home, which may be there already, with the model local:tiny in `root`/models."""
    (root / "home").mkdir(mode=0o700, exist_ok=True)
    (root / "models").mkdir()
    settings = Settings(home=root / "home", models=root / "models", offline=True)
    database, files = Database(settings.database), Files(settings.files_root)
    migrate(database)
    made = Faulty(settings, database, files, RealRuns(settings, database, files))
    yield made
    made.runs.supervisor.stop()
    database.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The run of LONG that nobody disturbs."""
    with data_folder(tmp_path_factory.mktemp("undisturbed")) as folder:
        run = folder.runs.train(**LONG)
        return folder.told(run.id)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Faulty]:
    with data_folder(tmp_path) as made:
        yield made


Same = Callable[[str], None]


@pytest.fixture
def same(folder: Faulty, undisturbed: Told) -> Same:
    """Asserts that a run has ended as the undisturbed one."""

    def check(run_id: str) -> None:
        assert folder.told(run_id) == undisturbed

    return check
