"""The recorder keeps the loop free of the database and loses no point."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app.core import attempts, events, runs
from app.core.attempts import LostRun
from app.core.db import Database
from app.core.events import PointValue
from app.core.runs import LEASE_SECONDS
from tests.conftest import TurnedClock
from tests.waiting import until
from worker.recorder import Recorder

QueueRun = Callable[[], str]


@pytest.fixture
def run_id(database: Database, queue_run: QueueRun, clock: TurnedClock) -> str:
    run_id = queue_run()
    with database.write() as session:
        assert attempts.claim(session, run_id, clock()) == 1
    return run_id


def steps(database: Database, run_id: str) -> list[int]:
    with database.read() as session:
        found = events.read_points(session, run_id, ["train/loss"])
    return list(found["train/loss"]["step"])


def test_leaving_it_writes_every_point_in_order(database: Database, run_id: str, clock: TurnedClock) -> None:
    with Recorder(database, run_id, 1, clock) as recorder:
        for step in range(1, 501):
            recorder.points(PointValue("train/loss", step, 1.0, clock()))
        recorder.progress(step=500)
        recorder.log("info", "done")
    assert steps(database, run_id) == list(range(1, 501))
    with database.read() as session:
        assert runs.get(session, run_id).step == 500
        assert "done" in [event.payload.get("message") for event in events.after(session, run_id, 0)]


def test_points_wait_while_the_database_is_locked(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    impatient = Database(database.url, patience=0.001)
    recorder = Recorder(impatient, run_id, 1, clock)
    with database.write() as session:
        session.execute(text("SELECT 1"))  # the transaction begins, and with it the lock
        recorder.points(PointValue("train/loss", 1, 1.0, clock()))
        assert recorder._try_flush() is False
        recorder.points(PointValue("train/loss", 2, 1.0, clock()))
    recorder.flush()
    impatient.close()
    assert steps(database, run_id) == [1, 2]


def test_what_is_not_written_yet_is_known(database: Database, run_id: str, clock: TurnedClock) -> None:
    recorder = Recorder(database, run_id, 1, clock)
    points = [PointValue("train/loss", step, 1.0, clock()) for step in (1, 2)]
    recorder.points(points[0])
    recorder.points(points[1])
    assert recorder.unwritten() == points
    recorder.flush()
    assert recorder.unwritten() == []
    assert steps(database, run_id) == [1, 2]


def test_a_locked_database_never_stalls_the_loop(
    database: Database, run_id: str, clock: TurnedClock, caplog: pytest.LogCaptureFixture
) -> None:
    patient = Database(database.url, patience=60)
    with Recorder(patient, run_id, 1, clock) as recorder, database.write() as session:
        session.execute(text("SELECT 1"))
        recorder.points(PointValue("train/loss", 1, 1.0, clock()))
        recorder.flush_soon()
        until(lambda: recorder._writing.locked() and not recorder._pending, "the write that waits")
        for step in range(2, 501):
            recorder.points(PointValue("train/loss", step, 1.0, clock()))
            recorder.progress(step=step)
        assert recorder._writing.locked()  # still the same one
        assert not caplog.records
    patient.close()
    assert steps(database, run_id) == list(range(1, 501))


def test_after_a_flush_what_another_thread_had_taken_is_written_too(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    writing, flushed = threading.Event(), threading.Event()

    class Slow(Database):
        @contextmanager
        def write(self) -> Iterator[Session]:
            if threading.current_thread() is other:
                writing.set()
                flushed.wait(0.2)  # only as long as it takes to be overtaken
            with super().write() as session:
                yield session

    recorder = Recorder(Slow(database.url), run_id, 1, clock)
    other = threading.Thread(target=recorder.flush)
    recorder.points(PointValue("train/loss", 1, 1.0, clock()))
    other.start()
    writing.wait()
    recorder.flush()
    found = steps(database, run_id)
    flushed.set()
    other.join()
    assert found == [1]


def test_a_cancel_reaches_the_trainer_with_the_next_write(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    recorder = Recorder(database, run_id, 1, clock)
    recorder.flush()
    assert not recorder.cancelled.is_set()
    with database.write() as session:
        runs.request_cancel(session, run_id, clock())
    recorder.flush()
    assert recorder.cancelled.is_set()


def test_a_lost_run_is_told_and_nothing_is_written(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    recorder = Recorder(database, run_id, 1, clock)
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        attempts.claim(session, run_id, clock())
    recorder.points(PointValue("train/loss", 1, 1.0, clock()))
    with pytest.raises(LostRun):
        recorder.flush()
    assert recorder.lost.is_set()
    assert steps(database, run_id) == []


def test_after_a_silence_it_asks_whose_the_run_is(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    recorder = Recorder(database, run_id, 1, clock)
    clock.turn(LEASE_SECONDS + 1)
    recorder.confirm()  # nobody has taken it
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        assert attempts.claim(session, run_id, clock()) == 2
    with pytest.raises(LostRun):
        recorder.confirm()


def test_a_database_that_does_not_answer_ends_no_training_after_a_silence(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    impatient = Database(database.url, patience=0.001)
    recorder = Recorder(impatient, run_id, 1, clock)
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        session.execute(text("SELECT 1"))
        recorder.confirm()
    impatient.close()


def test_the_last_words_are_tried_until_the_database_takes_them(
    database: Database, run_id: str, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.recorder.AGAIN_SECONDS", 0.001)
    impatient = Database(database.url, patience=0.001)
    recorder = Recorder(impatient, run_id, 1, clock)
    recorder.points(PointValue("train/loss", 1, 1.0, clock()))
    tried = 0

    def write() -> None:
        nonlocal tried
        tried += 1
        if tried == 3:
            lock.close()
        recorder.flush()

    lock = ExitStack()
    lock.enter_context(database.write()).execute(text("SELECT 1"))
    recorder.patiently(write, threading.Event())
    impatient.close()
    assert tried == 3
    assert steps(database, run_id) == [1]


def test_they_are_given_up_where_the_worker_stops_or_the_fault_is_ours(
    database: Database, run_id: str, clock: TurnedClock
) -> None:
    recorder = Recorder(database, run_id, 1, clock)
    impatient = Database(database.url, patience=0.001)
    stopping = threading.Event()

    def ask(sql: str) -> None:
        with impatient.write() as session:
            session.execute(text(sql))

    with pytest.raises(OperationalError, match="no such table"):
        recorder.patiently(lambda: ask("SELECT 1 FROM nowhere"), stopping)
    stopping.set()
    with database.write() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(OperationalError, match="locked"):
            recorder.patiently(lambda: ask("SELECT 1"), stopping)
    impatient.close()
