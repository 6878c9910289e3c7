"""`headstart serve` while its processes die, freeze or find the database locked: each run ends as if nothing had happened."""

import contextlib
import os
import signal
import sqlite3
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core import runs
from app.core.db import Database
from app.core.settings import Settings
from app.queue import Queue
from tests.faults.conftest import LONG, Told, told
from tests.serving import Served, begin, finish, serving, toy_csv
from tests.waiting import until
from tests.worker.real_runs import SPEC
from tests.worker.tiny import build_bert, toy

pytestmark = pytest.mark.slow
STOP_SECONDS = 30.0  # in which all must be over after a SIGTERM, by promise


class Disturbed:
    """A served data folder with the data and the model of tests/faults/conftest.py."""

    def __init__(self, served: Served, models: Path) -> None:
        self.served, self._models = served, models
        build_bert(models / "tiny", toy(120)[0])
        self.settings = Settings(home=served.home)
        self.database = Database(self.settings.database, patience=60.0)
        self.dataset = self.upload()

    def upload(self) -> str:
        """Ready to be used."""
        found = self.served.call("PUT", "/api/datasets?name=toy.csv", toy_csv(120).encode())["id"]
        until(lambda: self.served.call("GET", f"/api/datasets/{found}")["state"] == "ready", "the data set")
        return str(found)

    def queue(self, **changes: Any) -> str:
        spec = {**SPEC, **LONG, "dataset": self.dataset, **changes}
        return str(self.served.call("POST", "/api/runs", spec)["id"])

    def view(self, run_id: str) -> dict[str, Any]:
        """However long the web server is away."""

        def ask() -> dict[str, Any] | None:
            with contextlib.suppress(OSError):
                found: dict[str, Any] = self.served.call("GET", f"/api/runs/{run_id}")
                return found
            return None

        return until(ask, "the web server")

    def kept(self, run_id: str, attempt: int, behind: int = 0) -> dict[str, Any]:
        """Once this attempt has trained and a checkpoint was written behind the step."""

        def reached() -> dict[str, Any] | None:
            run = self.view(run_id)
            assert run["state"] in ("queued", "running"), run
            kept = run["attempt"] >= attempt and run["step"] > behind and run["checkpoint_step"] > behind
            return run if kept else None

        return until(reached, f"a checkpoint of attempt {attempt}")

    def end(self, run_id: str) -> Told:
        until(lambda: self.view(run_id)["state"] in ("succeeded", "failed", "cancelled"), "the end")
        return told(self.database, run_id)

    def find(self, words: str) -> psutil.Process:
        def look() -> psutil.Process | None:
            for one in self.served.processes():
                with contextlib.suppress(psutil.Error):
                    if words in " ".join(one.cmdline()):
                        return one
            return None

        return until(look, words)

    def trainer(self, run_id: str) -> psutil.Process:
        with contextlib.closing(sqlite3.connect(self.served.home / "headstart.db", timeout=60)) as database:
            (pid,) = database.execute("SELECT pid FROM run WHERE id = ?", (run_id,)).fetchone()
        return psutil.Process(pid)

    def serve_again(self) -> None:
        """After its end."""
        finish(self.served.process)
        again = begin(self.served.home, self._models, int(self.served.url.rsplit(":", 1)[1]))
        self.served.process = again
        assert again.stdout is not None
        while "Ready" not in (line := again.stdout.readline()):
            assert line


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    root = tmp_path_factory.mktemp("disturbed")
    with serving(root) as served:
        made = Disturbed(served, root / "models")
        yield made
        finish(served.process)  # not the one that `serving` began
        made.database.close()


def test_whatever_dies_the_run_goes_on_and_ends_as_if_nothing_had_happened(
    disturbed: Disturbed, undisturbed: Told
) -> None:
    first = disturbed.queue()
    queue = Queue(disturbed.settings)
    for _ in range(3):  # delivered more than once
        queue.wake(first)
    run = disturbed.kept(first, 1)
    disturbed.trainer(first).kill()
    run = disturbed.kept(first, 2, behind=run["checkpoint_step"])
    disturbed.find("worker.celery_app runs").kill()
    assert disturbed.end(first) == undisturbed

    second = disturbed.queue()
    attempt = disturbed.kept(second, 1)["attempt"]
    trainer = disturbed.trainer(second)
    disturbed.find("valkey-server").kill()
    disturbed.find("app.cli web").kill()
    run = disturbed.kept(second, attempt)
    assert run["attempt"] == attempt and trainer.is_running()  # nobody disturbed it
    for one in [psutil.Process(disturbed.served.process.pid), *disturbed.served.processes()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    disturbed.serve_again()
    run = disturbed.kept(second, attempt + 1, behind=run["checkpoint_step"])
    everyone = disturbed.served.processes()
    disturbed.served.process.send_signal(signal.SIGTERM)
    assert disturbed.served.process.wait(STOP_SECONDS) == 0
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in everyone)
    with disturbed.database.read() as session:
        left = runs.get(session, second)
    assert left.state == "queued"
    assert left.checkpoint_step == left.step > run["step"]  # it was written for the end
    disturbed.serve_again()
    assert disturbed.end(second) == undisturbed
    assert disturbed.view(first)["state"] == "succeeded"
    with disturbed.database.read() as session:
        failures = session.connection().exec_driver_sql("SELECT max(failures) FROM run").scalar_one()
    assert failures == 0


def refused(call: Callable[[], Any]) -> str:
    """The sentence of an answer 503."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call()
    assert caught.value.code == 503
    with caught.value:
        return caught.value.read().decode()


def test_a_broker_that_does_not_answer_stops_neither_running_runs_nor_new_ones(
    disturbed: Disturbed, undisturbed: Told
) -> None:
    running = disturbed.queue()
    disturbed.kept(running, 1)
    broker = disturbed.find("valkey-server")
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        disturbed.upload()
        waiting = disturbed.queue()
        assert disturbed.end(running) == undisturbed
        ask = {"inputs": ["the film was good"]}
        sentence = refused(lambda: disturbed.served.call("POST", f"/api/runs/{running}/predict", ask))
        assert "does not answer" in sentence
        assert disturbed.view(waiting)["state"] == "queued"
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert disturbed.end(waiting) == undisturbed


def test_a_database_that_is_locked_for_ten_seconds_loses_nothing(
    disturbed: Disturbed, undisturbed: Told
) -> None:
    running = disturbed.queue()
    disturbed.kept(running, 1)
    with contextlib.closing(sqlite3.connect(disturbed.served.home / "headstart.db", timeout=60)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        locked_at = time.monotonic()
        # Who has to wait too long for an answer gets a sentence; what is read is there all the time.
        assert "Try again in a moment" in refused(disturbed.queue)
        assert disturbed.view(running)["attempt"] == 1
        until(lambda: time.monotonic() - locked_at > 10, "ten seconds")
        other.execute("ROLLBACK")
    assert disturbed.end(running) == undisturbed
    assert disturbed.view(running)["attempt"] == 1
