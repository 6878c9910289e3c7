"""How long a run will take, from runs that are over."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from app.core import attempts
from app.core.db import Database
from app.core.spec import RunSpec
from app.core.strategies import Full, Head, Partial
from app.core.tables import Point, Run
from app.models.learning import levels_of
from app.models.stack import Stack
from app.web.estimate import Price, estimated_seconds, memory_bytes

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


def estimate(
    database: Database, spec: RunSpec, steps: int, price: Price = lambda _: None, **changed: Any
) -> float | None:
    asked = {**spec.model_dump(mode="json"), "batch_size": 32, **changed}
    with database.read() as session:
        found = estimated_seconds(session, asked, steps, price)
    return found and found[0]


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


def test_another_strategy_is_told_by_what_each_costs(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    ended(database, queue_run(), 50.0, epochs=2)
    partial: dict[str, Any] = {"strategy": {"kind": "partial", "layers": 2}, "epochs": 4}
    price = {"full": 6.0, "partial": 3.0}
    assert estimate(database, spec, 200, **partial) is None  # nothing is known of what it costs
    found = estimate(database, spec, 200, lambda one: price[one["strategy"]["kind"]], **partial)
    assert found == 25.0  # the same rows; the price is of all epochs
    ended(database, queue_run(), 40.0, **partial)
    assert estimate(database, spec, 200, lambda one: price[one["strategy"]["kind"]], **partial) == 80.0


def test_a_head_that_is_fitted_is_told_by_the_same_data(
    database: Database, queue_run: Queue, spec: RunSpec
) -> None:
    ended(database, queue_run(), 60.0, epochs=3)
    head: dict[str, Any] = {"strategy": {"kind": "head", "fit": "converge"}, "epochs": None}

    def price(one: dict[str, Any]) -> float:
        return 10.0 if one["epochs"] else 1.0

    assert estimate(database, spec, 200, price, **head) == 6.0
    assert estimate(database, spec, 200, price, **head, dataset="other0000000") is None


def test_a_run_of_an_older_version_is_no_fault(database: Database, queue_run: Queue, spec: RunSpec) -> None:
    ended(database, queue_run(), 50.0, strategy={"kind": "forgotten", "depth": 3}, epochs=2, gone=True)
    assert estimate(database, spec, 200, lambda _: None) is None


def test_only_the_training_grows_with_the_texts(database: Database, queue_run: Queue, spec: RunSpec) -> None:
    run_id = queue_run()
    with database.write() as session:
        for step, at in ((1, 1010.0), (100, 1040.0)):
            session.add(Point(run_id=run_id, series="train/loss", step=step, value=1.0, time=at))
    ended(database, run_id, 50.0)
    assert estimate(database, spec, 200) == 20 + 2 * 30


def test_memory_grows_with_what_learns_and_with_the_texts() -> None:
    stack = Stack("bert", 1000, (500,) * 4, ({},) * 4, 0, 8, 2, 50, 8)
    spec = RunSpec(dataset="a" * 12, task="classification", columns={}, batch_size=4, max_length=16)

    def memory(strategy: Any, **changed: Any) -> float:
        asked = spec.model_copy(update={"strategy": strategy, **changed})
        return memory_bytes(stack, levels_of(stack, strategy, 20), asked, False)

    plans = [Head(kind="head"), *(Partial(kind="partial", layers=count) for count in (1, 2, 4)), Full()]
    found = [memory(plan) for plan in plans]
    assert found == sorted(set(found))
    assert memory(Full(), batch_size=8) > found[-1] and memory(Full(), max_length=32) > found[-1]
