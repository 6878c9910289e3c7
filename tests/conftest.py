"""What every room's tests share: a data folder in tmp_path with a migrated database, a queued run, a clock to turn."""

import os

# Two files run at a time, each with tiny models: threads of torch beside each other only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor does each of the processes that tests start have to compile our modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core import runs
from app.core.db import Database
from app.core.files import Files, new_id
from app.core.migrate import migrate
from app.core.settings import Settings
from app.core.spec import RunSpec, parse_spec
from app.core.tables import Dataset, DatasetVersion
from tests import forking


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: where two run at a time, neither is left with a long one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class TurnedClock:
    """A clock that stands still until a test turns it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller's shell sets for Headstart is not for the tests (but for their browser)."""
    for name in list(os.environ):
        if name.startswith("HEADSTART_") and name != "HEADSTART_CHROMIUM":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _quick_starts() -> Iterator[None]:
    with forking.quick_starts():
        yield


@pytest.fixture
def real_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forked in this test: see tests/forking.py."""
    monkeypatch.setattr(forking, "SERVED", ())


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    models = tmp_path / "models"
    models.mkdir()
    return Settings(home=home, models=models, offline=True)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def files(settings: Settings) -> Files:
    return Files(settings.files_root)


@pytest.fixture
def dataset_id(database: Database, clock: TurnedClock) -> str:
    dataset_id = new_id()
    with database.write() as session:
        session.add(Dataset(id=dataset_id, name="reviews.csv", state="ready", created_at=clock()))
        session.flush()
        session.add(
            DatasetVersion(
                dataset_id=dataset_id,
                version=1,
                rows=10,
                columns=["text", "label"],
                sha256="0" * 64,
                created_at=clock(),
            )
        )
    return dataset_id


@pytest.fixture
def spec(dataset_id: str) -> RunSpec:
    columns = {"text": "text", "label": "label"}
    return parse_spec(
        {
            "dataset": dataset_id,
            "dataset_version": 1,
            "task": "classification",
            "columns": columns,
            "name": "Reviews",
        }
    )


@pytest.fixture
def queue_run(database: Database, spec: RunSpec, clock: TurnedClock) -> Callable[[], str]:
    """Queues one more run and returns its id."""

    def queue() -> str:
        run_id = new_id()
        with database.write() as session:
            runs.create(session, run_id, spec, "0" * 64, clock())
        clock.turn(1)
        return run_id

    return queue
