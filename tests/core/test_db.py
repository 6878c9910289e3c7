"""One way to write: read-modify-write in many threads loses nothing."""

import threading

from sqlalchemy import text

from app.core.db import Database
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
