"""A store on a real SQLite file, and a bench that takes bytes through upload and reading."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from app.core.db import Database
from app.core.files import Files
from app.core.migrate import migrate
from app.core.spec import RunSpec
from app.datasets.profile import Profile
from app.datasets.store import DatasetStore, ReadOptions


class Bench:
    """`now` is the store's clock."""

    def __init__(self, home: Path) -> None:
        self.now = 1_000_000.0
        self.database = Database(f"sqlite:///{home / 'headstart.db'}")
        self.files = Files(home)
        self.store = DatasetStore(self.database, self.files, lambda: self.now)

    def upload(self, content: bytes | str, name: str = "reviews.csv") -> str:
        upload = self.store.begin(name, None)
        upload.write(content.encode() if isinstance(content, str) else content)
        upload.commit()
        return upload.id

    def read(self, content: bytes | str, name: str = "reviews.csv", **options: Any) -> dict[str, Any]:
        """Uploads as `name` and reads; `options` as for reread. Returns the view."""
        dataset_id = self.upload(content, name)
        self.store.read(dataset_id)
        return self.again(dataset_id, **options) if options else self.store.view(dataset_id)

    def again(self, dataset_id: str, **options: Any) -> dict[str, Any]:
        self.store.reread(dataset_id, ReadOptions(**options))
        self.store.read(dataset_id)
        return self.store.view(dataset_id)

    def items(self, view: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.store.rows(view["id"], 0, 1000)["items"]
        assert isinstance(found, list)
        return found

    def column(self, view: dict[str, Any], name: str) -> list[str]:
        return [item["cells"][name] for item in self.items(view)]

    def run_on(self, dataset_id: str, name: str = "first try") -> None:
        """A queued run on version 1 of the data set."""
        from app.core import runs
        from app.core.files import new_id

        spec = RunSpec(
            dataset=dataset_id,
            dataset_version=1,
            task="classification",
            columns={"text": "text", "label": "label"},
            name=name,
        )
        with self.database.write() as session:
            runs.create(session, new_id(), spec, "0" * 64, self.now)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema, made once: alembic takes longer than most tests here."""
    path = tmp_path_factory.mktemp("migrated") / "headstart.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def bench(tmp_path: Path, migrated: Path) -> Any:
    shutil.copy(migrated, tmp_path / "headstart.db")
    made = Bench(tmp_path)
    yield made
    made.database.close()


def warnings(view: dict[str, Any]) -> list[str]:
    assert all(problem["severity"] == "warning" for problem in view["problems"])
    return [f"{problem['where']}: {problem['message']}" for problem in view["problems"]]


def failure(view: dict[str, Any]) -> tuple[str, str]:
    assert view["state"] == "failed", view
    assert view["rows"] is None and view["profile"] is None
    assert view["problems"] and all(problem["severity"] == "error" for problem in view["problems"])
    return view["error"]["kind"], view["error"]["message"]


def csv_of(rows: int, classes: tuple[str, ...] = ("pos", "neg")) -> str:
    """A small labelled file: a header and rows with texts that all differ."""
    lines = [f"text number {i} of many,{classes[i % len(classes)]}" for i in range(rows)]
    return "\n".join(["text,label", *lines]) + "\n"


def profile_of(**columns: list[str]) -> Profile:
    """The profile of a table whose first row is in line 2."""
    profile = Profile(list(columns))
    cells = list(columns.values())
    profile.add(cells, range(2, len(cells[0]) + 2))
    profile.finish()
    return profile
