"""How long a run will take, from runs that are over."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from app.core import attempts
from app.core.db import Database
from app.core.spec import RunSpec
from app.core.tables import Run
from app.web.estimate import estimated_seconds

Queue = Callable[[], str]


def ended(database: Database, run_id: str, seconds: float, **changed: Any) -> None:
    """Lets a queued run succeed after `seconds`, with 100 steps of 32 texts."""
    with database.write() as session:
        attempt = attempts.claim(session, run_id, 1000.0)
        assert attempt is not None
        attempts.finish(session, run_id, attempt, "succeeded", 1000.0 + seconds)
        run = session.get(Run, run_id)
        assert run is not None
        spec = {**run.spec, "batch_size": 32, **changed}
        session.execute(update(Run).where(col(Run.id) == run_id).values(steps=100, spec=spec))


def estimate(database: Database, spec: RunSpec, steps: int, **changed: Any) -> float | None:
    asked = {**spec.model_dump(mode="json"), "batch_size": 32, **changed}
    with database.read() as session:
        return estimated_seconds(session, asked, steps)


def test_nothing_is_told_before_a_run_with_the_model_has_succeeded(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    assert estimate(database, spec, 100) is None
    ended(database, queue_run(), 50.0)
    assert estimate(database, spec, 100, model="local:other") is None
    assert estimate(database, spec, 100, task="pair") is None


def test_the_time_grows_with_the_texts_that_are_learned(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    ended(database, queue_run(), 50.0)
    assert estimate(database, spec, 200) == 100.0
    assert estimate(database, spec, 200, batch_size=16) == 50.0


def test_the_same_data_tells_more_than_a_newer_run(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    ended(database, queue_run(), 50.0)
    ended(database, queue_run(), 90.0, dataset="other0000000")
    assert estimate(database, spec, 100) == 50.0


def test_where_steps_are_a_guess_only_the_same_data_tells_anything(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    ended(database, queue_run(), 50.0, truncation="windows", epochs=2)
    ended(database, queue_run(), 90.0, truncation="windows", epochs=2, dataset="other0000000")
    # The run made 100 steps of windows; 25 is what the rows alone would make.
    assert estimate(database, spec, 25, truncation="windows", epochs=4) == 100.0
    assert estimate(database, spec, 25, truncation="windows", epochs=4, max_length=64) is None
