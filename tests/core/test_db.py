"""One way to write: read-modify-write in many threads loses nothing."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.core.db import Database, may_pass
from app.core.tables import Dataset
from tests.conftest import TurnedClock


def test_concurrent_read_modify_write_loses_no_update(database: Database, clock: TurnedClock) -> None:
    with database.write() as session:
        session.add(Dataset(id="counter", name="x", created_at=clock()))

    def increment() -> None:
        for _ in range(25):
            with database.write() as session:
                row = session.get_one(Dataset, "counter")
                row.bytes += 1

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(Dataset, "counter").bytes == 100


def test_a_reader_does_not_wait_for_a_writer(database: Database, clock: TurnedClock) -> None:
    with database.write() as session:
        session.add(Dataset(id="x", name="x", created_at=clock()))
        session.flush()
        with database.read() as reader:
            assert reader.get(Dataset, "x") is None


def test_the_connection_is_set_up_as_designed(database: Database) -> None:
    with database.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 5000, "foreign_keys": 1}


def refusal(database: Database, *statements: str) -> OperationalError:
    def ask() -> None:
        with database.write() as session:
            for statement in statements:
                session.execute(text(statement))

    with pytest.raises(OperationalError) as caught:
        ask()
    return caught.value


def test_what_may_pass_is_told_from_what_is_our_fault(database: Database) -> None:
    impatient = Database(database.url, patience=0.001)
    with database.write() as session:
        session.execute(text("SELECT 1"))  # the transaction begins, and with it the lock
        assert may_pass(refusal(impatient, "SELECT 1"))
    too_small = "PRAGMA max_page_count = 1"  # it becomes as many pages as there are
    assert may_pass(refusal(impatient, too_small, "CREATE TABLE big AS SELECT zeroblob(1000000) AS room"))
    assert not may_pass(refusal(impatient, "SELECT 1 FROM nowhere"))
    impatient.close()
