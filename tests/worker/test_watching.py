"""What the supervisor makes of a locked database, a suspended machine and a trainer that could not begin."""

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.core import attempts, events, runs
from app.core.db import Database
from app.core.files import Files, write_json
from app.core.runs import LEASE_SECONDS
from app.core.settings import Settings
from app.core.tables import Run
from tests.conftest import TurnedClock
from worker.disk import disk_full, read_only
from worker.processes import EXIT_DATABASE, EXIT_FEWER, EXIT_LOCKED, EXIT_MEMORY, MEMORY_FULL, Trainer
from worker.supervisor import Supervisor
from worker.watching import Watch

QueueRun = Callable[[], str]


@pytest.fixture
def supervisor(settings: Settings) -> Supervisor:
    return Supervisor(settings)


@pytest.fixture
def run_id(database: Database, queue_run: QueueRun, clock: TurnedClock) -> str:
    run_id = queue_run()
    with database.write() as session:
        assert attempts.claim(session, run_id, clock()) == 1
    return run_id


def read(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


class LockingTrainer:
    """Stands in for a trainer: locks the database when it begins, for three looks of its supervisor."""

    pid, started = 1, 0.0

    def __init__(self, database: Database) -> None:
        self._database, self._lock, self.looks = database, ExitStack(), 0

    def begin(self, _order: dict[str, Any]) -> None:
        session = self._lock.enter_context(self._database.write())
        session.execute(text("SELECT 1"))  # the transaction begins, and with it the lock

    def heard(self) -> bool:
        return True

    def alive(self) -> bool:
        return True

    def wait(self, _seconds: float) -> bool:
        self.looks += 1
        if self.looks == 3:
            self._lock.close()
        return self.looks == 4

    def wait_code(self) -> int:
        return -signal.SIGTERM


class SilentTrainer:
    """Stands in for a trainer that shows that it lives when it begins, and then no more; `frozen` from outside or not."""

    pid, started = 1, 0.0

    def __init__(self, frozen: bool, silent_looks: int = 10**6) -> None:
        self._frozen, self._silent_looks = frozen, silent_looks
        self.looks, self.killed = 0, False

    def begin(self, _order: dict[str, Any]) -> None: ...

    def heard(self) -> bool:
        return self.looks == 1 or self.looks > self._silent_looks

    def frozen(self) -> bool:
        return self._frozen

    def alive(self) -> bool:
        return not self.killed

    def kill(self) -> None:
        self.killed = True

    def wait(self, _seconds: float) -> bool:
        self.looks += 1
        return self.killed or self.looks > 2 * self._silent_looks

    def wait_code(self) -> int:
        return -signal.SIGKILL


Watching = Callable[..., Watch]


@pytest.fixture
def watching(
    settings: Settings, database: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> Watching:
    """The watch over attempt 1. Each look at the trainer is a beat, and waits for a locked database for a millisecond."""
    monkeypatch.setattr("worker.watching.HEARTBEAT_SECONDS", 0.0)

    def watch(trainer: Any = None, **options: Any) -> Watch:
        impatient = Database(database.url, patience=0.001)
        return Watch(
            impatient,
            Files(settings.files_root),
            cast("Trainer", trainer),
            (run_id, 1),
            threading.Event(),
            **options,
        )

    return watch


def test_a_locked_database_ends_no_training(watching: Watching, database: Database, run_id: str) -> None:
    trainer = LockingTrainer(database)
    watching(trainer).until_its_end(lambda: None)
    assert trainer.looks == 4
    assert read(database, run_id).state == "queued"


def test_a_trainer_that_hangs_is_ended_and_it_counts(
    watching: Watching, database: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.watching.HEARTBEAT_SECONDS", 1e-6)
    trainer = SilentTrainer(frozen=False)
    watching(trainer, patience=1e-5).until_its_end(lambda: None)
    run = read(database, run_id)
    assert trainer.killed
    assert (run.state, run.failures) == ("queued", 1)


def test_one_that_somebody_froze_is_ended_and_it_counts_for_nothing(
    watching: Watching, database: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.watching.HEARTBEAT_SECONDS", 1e-6)
    trainer = SilentTrainer(frozen=True)
    watching(trainer, patience=1e-5).until_its_end(lambda: None)
    run = read(database, run_id)
    assert trainer.killed
    assert (run.state, run.failures) == ("queued", 0)


def test_silence_is_told_on_the_page_and_forgotten_when_the_trainer_is_back(
    watching: Watching, database: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.watching.HEARTBEAT_SECONDS", 1e-6)
    monkeypatch.setattr("worker.watching.TOLD_SECONDS", 0.0)
    trainer = SilentTrainer(frozen=False, silent_looks=5)
    watching(trainer).until_its_end(lambda: None)
    with database.read() as session:
        told = [event.payload["phase"] for event in events.after(session, run_id, 0) if event.kind == "state"]
    assert not trainer.killed
    assert "not heard of for 0 s" in told
    assert told[-2:] == ["starting", ""]  # as it was; then it is queued again


def test_a_run_that_it_trains_is_not_lost_by_a_suspended_machine(
    supervisor: Supervisor, database: Database, run_id: str, clock: TurnedClock
) -> None:
    with database.write() as session:  # long ago
        session.execute(text("UPDATE run SET lease_until = 1"))
    supervisor.slots[0].current = (run_id, 1)
    supervisor.reconcile()
    run = read(database, run_id)
    assert run.state == "running"
    assert run.lease_until is not None
    assert run.lease_until > LEASE_SECONDS


def test_a_trainer_that_waited_for_its_forerunner_counts_as_no_failure(
    watching: Watching, database: Database, run_id: str
) -> None:
    watching().judge(EXIT_LOCKED)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)


def test_so_does_one_that_could_not_write_its_end(
    watching: Watching, database: Database, run_id: str
) -> None:
    watching().judge(EXIT_DATABASE)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)


class KilledForMemory(LockingTrainer):
    """Stands in for a trainer that the system ends when it begins, and that takes `dying` looks to go."""

    def __init__(self, kills: list[int], dying: int) -> None:
        self._kills, self._dying = kills, dying

    def begin(self, _order: dict[str, Any]) -> None:
        self._kills[0] += 1

    def heard(self) -> bool:
        return False

    def wait(self, _seconds: float) -> bool:
        self._dying -= 1
        return self._dying < 0

    def wait_code(self) -> int:
        return -signal.SIGKILL


@pytest.mark.parametrize("dying", [0, 3])
@pytest.mark.parametrize(("rows", "failures"), [(2, 0), (1, 1)])
def test_an_attempt_that_the_system_ended_for_lack_of_memory_counts_if_it_took_single_rows(
    watching: Watching,
    database: Database,
    files: Files,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    dying: int,
    rows: int,
    failures: int,
) -> None:
    kills = [3]
    monkeypatch.setattr("worker.watching.oom_kills", lambda: kills[0])
    write_json(files.run(run_id) / "plan.json", {"micro_batch": rows})
    watching(KilledForMemory(kills, dying)).until_its_end(lambda: None)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", failures)
    assert (files.run(run_id) / MEMORY_FULL).exists() == (rows > 1)


def test_what_the_system_ended_while_the_trainer_was_heard_was_another(
    watching: Watching, database: Database, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([3, 4, 4, 4])  # before it begins, at two beats, at the end
    monkeypatch.setattr("worker.watching.oom_kills", lambda: next(looks))
    trainer = KilledForMemory([0], dying=2)
    monkeypatch.setattr(trainer, "heard", lambda: True)
    watching(trainer).until_its_end(lambda: None)
    run = read(database, run_id)
    assert (run.state, run.failures) == ("queued", 0)
    assert next(looks, None) is None


@pytest.mark.parametrize(
    ("code", "state", "error"), [(EXIT_FEWER, "queued", None), (EXIT_MEMORY, "failed", "memory")]
)
def test_memory_that_ran_out_in_one_of_several_processes(
    watching: Watching, database: Database, run_id: str, code: int, state: str, error: str | None
) -> None:
    watching().judge(code)
    run = read(database, run_id)
    assert (run.state, run.error and run.error["kind"]) == (state, error)


def test_a_full_disk_is_told_from_a_bug() -> None:
    assert disk_full(OSError(28, "No space left on device"))
    assert disk_full(Exception("Error while serializing: I/O error: No space left on device (os error 28)"))
    assert not disk_full(OSError(2, "No such file or directory"))
    assert not disk_full(KeyError("28"))
    assert read_only(OSError(30, "Read-only file system"))
    assert not read_only(OSError(28, "No space left on device"))


def test_best_weights_of_attempts_that_were_killed_are_removed(files: Files, run_id: str) -> None:
    from worker.trainer import remove_stale

    old, other = files.attempt(run_id, 1), files.attempt(run_id, 2)
    for folder in (old, other):
        folder.mkdir(parents=True)
        (folder / "best.safetensors").write_bytes(b"weights")
        (folder / "log.txt").write_text("kept")
    remove_stale(files.run(run_id))
    assert {path.name for path in files.run(run_id).glob("attempt-*/*")} == {"log.txt"}
