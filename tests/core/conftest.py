"""A queued run on a data set of one version."""

from collections.abc import Callable

import pytest

from app.core import runs
from app.core.db import Database
from app.core.files import new_id
from app.core.spec import RunSpec, parse_spec
from app.core.tables import Dataset, DatasetVersion
from tests.conftest import TurnedClock


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
