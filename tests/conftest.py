"""What every room's tests share: a data folder in tmp_path with a migrated database, and a clock to turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.db import Database
from app.core.files import Files
from app.core.migrate import migrate
from app.core.settings import Settings


class TurnedClock:
    """A clock that stands still until a test turns it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


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
