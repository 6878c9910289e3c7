"""Data sets read by the real store."""

from collections.abc import Callable

import pytest

from app.core.db import Database
from app.core.files import Files
from app.datasets.store import DatasetStore

AddCsv = Callable[[str], str]


@pytest.fixture
def store(database: Database, files: Files) -> DatasetStore:
    return DatasetStore(database, files)


@pytest.fixture
def add_csv(store: DatasetStore) -> AddCsv:
    """Uploads and reads a CSV; returns its id."""

    def add(text: str) -> str:
        upload = store.begin("reviews.csv", len(text))
        upload.write(text.encode())
        upload.commit()
        store.read(upload.id)
        assert store.view(upload.id)["state"] == "ready", store.view(upload.id)["error"]
        return str(upload.id)

    return add
