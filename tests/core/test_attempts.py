"""Claims and the fence: a run is never trained twice at once, and who lost it can't write."""

import threading
from collections.abc import Callable

import pytest

from app.core import attempts, events, runs
from app.core.attempts import Batch, LostRun
from app.core.db import Database
from app.core.events import PointValue
from app.core.runs import LEASE_SECONDS
from app.core.tables import Run
from tests.conftest import TurnedClock

QueueRun = Callable[[], str]


def claim(database: Database, run_id: str, now: float) -> int | None:
    with database.write() as session:
        return attempts.claim(session, run_id, now)


def read(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def test_a_queued_run_is_claimed_once(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    assert claim(database, run_id, clock()) == 1
    assert claim(database, run_id, clock()) is None
    assert read(database, run_id).state == "running"


def test_of_many_claimants_at_once_one_wins(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    results: list[int | None] = []
    start = threading.Barrier(8)

    def compete() -> None:
        start.wait()
        results.append(claim(database, run_id, clock()))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [1] + [None] * 7


def test_a_running_run_is_claimed_again_only_after_its_lease(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    clock.turn(LEASE_SECONDS - 1)
    assert claim(database, run_id, clock()) is None
    clock.turn(2)
    assert claim(database, run_id, clock()) == 2


def test_who_lost_the_run_writes_nothing(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    clock.turn(LEASE_SECONDS + 1)
    claim(database, run_id, clock())
    late = Batch(points=[PointValue("train/loss", 1, 0.5, clock())], progress={"step": 1})
    with pytest.raises(LostRun), database.write() as session:
        attempts.record(session, run_id, 1, late, clock())
    with pytest.raises(LostRun), database.write() as session:
        attempts.finish(session, run_id, 1, "succeeded", clock(), metrics={"accuracy": 1.0})
    with database.read() as session:
        assert events.read_points(session, run_id) == {}
    run = read(database, run_id)
    assert (run.state, run.attempt, run.step, run.metrics) == ("running", 2, 0, None)


def test_a_record_renews_the_lease_and_tells_of_a_cancel(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    clock.turn(LEASE_SECONDS - 1)
    with database.write() as session:
        assert attempts.record(session, run_id, 1, Batch(), clock()) == "go on"
    assert read(database, run_id).lease_until == clock() + LEASE_SECONDS
    with database.write() as session:
        runs.request_cancel(session, run_id, clock())
    with database.write() as session:
        assert attempts.record(session, run_id, 1, Batch(), clock()) == "cancel"


def test_a_new_attempt_rewinds_the_curve_to_where_it_goes_on(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    first = Batch(points=[PointValue("train/loss", step, 0.5, clock()) for step in (1, 2, 3)])
    with database.write() as session:
        attempts.record(session, run_id, 1, first, clock())
        attempts.release(session, run_id, 1, "stopped", clock())
    claim(database, run_id, clock())
    with database.write() as session:
        attempts.go_on(session, run_id, 2, 2, 0.5, None, clock())
    with database.read() as session:
        assert events.read_points(session, run_id)["train/loss"]["step"] == [1, 2]
        kinds = [(event.kind, event.payload.get("step")) for event in events.after(session, run_id, 0)]
    assert ("rewind", 2) in kinds
    assert (read(database, run_id).step, read(database, run_id).epoch) == (2, 0.5)


def test_only_the_attempt_that_has_the_run_rewinds_it(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        attempts.release(session, run_id, 1, "stopped", clock())
    claim(database, run_id, clock())
    with pytest.raises(LostRun), database.write() as session:
        attempts.go_on(session, run_id, 1, 0, 0.0, None, clock())


def test_a_running_run_is_paused_by_its_trainer_and_resumed_by_the_user(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        assert runs.request_pause(session, run_id, clock()).state == "running"
        assert runs.request_pause(session, run_id, clock()).pause_requested
        assert attempts.record(session, run_id, 1, Batch(), clock()) == "pause"
        attempts.pause(session, run_id, 1, clock())
    paused = read(database, run_id)
    assert (paused.state, paused.pause_requested, paused.lease_until) == ("paused", False, None)
    assert claim(database, run_id, clock()) is None
    with pytest.raises(LostRun), database.write() as session:
        attempts.record(session, run_id, 1, Batch(), clock())
    with database.write() as session:
        assert runs.request_resume(session, run_id, clock()).state == "queued"
    assert claim(database, run_id, clock()) == 2


def test_a_pause_can_be_withdrawn(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        runs.request_pause(session, run_id, clock())
        runs.request_resume(session, run_id, clock())
        assert attempts.record(session, run_id, 1, Batch(), clock()) == "go on"


@pytest.mark.parametrize("how", ["released", "lost"])
def test_a_run_whose_trainer_dies_while_a_pause_is_wanted_is_paused(
    database: Database, queue_run: QueueRun, clock: TurnedClock, how: str
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        runs.request_pause(session, run_id, clock())
        if how == "released":
            attempts.release(session, run_id, 1, "killed", clock())
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        assert run_id not in attempts.reconcile(session, clock())
    assert read(database, run_id).state == "paused"


def test_self_inflicted_ends_are_tried_again_and_then_fail(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    error = {"kind": "bug", "message": "The trainer ended by signal SIGSEGV."}
    states = []
    for _ in range(runs.MAX_FAILURES):
        attempt = claim(database, run_id, clock())
        assert attempt is not None
        with database.write() as session:
            states.append(attempts.fail_or_retry(session, run_id, attempt, error, final=False, now=clock()))
    assert states == ["queued"] * (runs.MAX_FAILURES - 1) + ["failed"]
    assert read(database, run_id).error == error
    assert claim(database, run_id, clock()) is None


def test_an_expected_error_fails_at_once(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        error = {"kind": "model", "message": "No tokenizer."}
        assert attempts.fail_or_retry(session, run_id, 1, error, True, clock()) == "failed"


def test_a_crash_after_a_cancel_ends_the_run(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    claim(database, run_id, clock())
    with database.write() as session:
        runs.request_cancel(session, run_id, clock())
    with database.write() as session:
        error = {"kind": "bug", "message": "The trainer met an unexpected KeyError."}
        assert attempts.fail_or_retry(session, run_id, 1, error, False, clock()) == "cancelled"
    assert read(database, run_id).finished_at == clock()


def test_ends_from_outside_never_count(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    for _ in range(10):
        attempt = claim(database, run_id, clock())
        assert attempt is not None
        with database.write() as session:
            attempts.release(session, run_id, attempt, "stopped from outside", clock())
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)
