"""Several real processes that train one model: over gloo, on the CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files, read_json
from app.core.settings import Settings
from app.core.tables import Run
from tests import forking
from tests.waiting import until
from tests.worker.test_killed_runs import assert_same_end
from tests.worker.test_supervisor import Launch, in_background, launch, losses, read
from tests.worker.together import everything
from worker.ranks import ALONE
from worker.supervisor import Supervisor

__all__ = ["launch"]

pytestmark = pytest.mark.slow
Found = dict[str, dict[str, Any]]
# Puts tests/worker/greedy/sitecustomize.py in front of the processes that are started.
GREEDY = Path(__file__).with_name("greedy")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> list[Found]:
    """What two processes found, one of them with the loop's steps of two."""
    out = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "tests.worker.together", str(folders["bert"].parent), str(out)]
    processes = [subprocess.Popen([*command, str(rank), "2"]) for rank in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone(folders: dict[str, Path]) -> Found:
    return everything(folders["bert"].parent, ALONE)


@pytest.mark.parametrize(
    "name", ["still", "gradual", "memory", "sharded", "sharded gradual", "sharded lora", "sharded thrifty"]
)
def test_two_processes_learn_as_one(together: list[Found], alone: Found, name: str) -> None:
    assert len(alone[name]["losses"]) == 10
    for found in together:
        np.testing.assert_allclose(found[name]["losses"], alone[name]["losses"], atol=1e-5)
        np.testing.assert_allclose(found[name]["norms"], alone[name]["norms"], atol=1e-4)


def test_all_processes_end_with_the_same_bits(together: list[Found]) -> None:
    assert together[0] == together[1]


def test_with_dropout_two_processes_give_the_same_bits_again(together: list[Found], alone: Found) -> None:
    first = together[0]
    assert first["dropout"] == first["dropout again"]
    # A part has the same dropout whoever works on it.
    np.testing.assert_allclose(first["dropout"]["losses"], alone["dropout"]["losses"], atol=1e-5)


def test_only_the_first_judges_and_all_know(together: list[Found]) -> None:
    assert [found["still"]["scores"] for found in together] == [[0.25, 0.25]] * 2


def test_where_one_lacks_memory_all_take_smaller_parts(together: list[Found]) -> None:
    assert [found["memory"]["halved"] for found in together] == [[[1, 2]]] * 2


@pytest.fixture
def pair(settings: Settings) -> Any:
    """A supervisor whose trainers are two processes each."""
    supervisor = Supervisor(settings.model_copy(update={"processes": 2}), keep_warm=False)
    yield supervisor
    supervisor.stop()


def helper(run: Run) -> psutil.Process | None:
    """The second process of a run, once it has joined."""
    assert run.pid is not None
    children = psutil.Process(run.pid).children()
    return next((one for one in children if one.name() != forking.NAME), None)


def test_a_run_on_two_processes_has_the_curve_and_the_end_of_one_on_one(
    pair: Supervisor, settings: Settings, launch: Launch, database: Database, files: Files
) -> None:
    one, two = launch(accumulation=2), launch(accumulation=2)
    Supervisor(settings, keep_warm=False).supervise(one)
    pair.supervise(two)
    for run_id in (one, two):
        run = read(database, run_id)
        assert (run.state, run.error) == ("succeeded", None)
    assert json.loads((files.run(two) / "plan.json").read_text())["processes"] == 2
    assert losses(database, two)["step"] == losses(database, one)["step"]
    np.testing.assert_allclose(losses(database, two)["value"], losses(database, one)["value"], atol=1e-5)


@pytest.mark.parametrize("sharded", [False, True])
def test_with_dropout_a_run_that_is_paused_and_whose_processes_are_killed_ends_as_an_undisturbed_one(
    settings: Settings, launch: Launch, database: Database, files: Files, sharded: bool
) -> None:
    pair = Supervisor(settings.model_copy(update={"processes": 2, "shard": sharded}), keep_warm=False)
    seconds = 0.2 if sharded else 0.05  # to bring the parts together costs more than the steps in between
    undisturbed, run_id = (launch(epochs=20, checkpoint_seconds=seconds) for _ in range(2))
    pair.supervise(undisturbed)
    killed_while_it_trains(pair, database, run_id, of_helper=True)
    paused_while_it_trains(pair, database, run_id)
    killed_while_it_trains(pair, database, run_id, of_helper=False)
    pair.supervise(run_id)
    pair.stop()
    assert json.loads((files.run(run_id) / "plan.json").read_text())["sharded"] is sharded
    assert_same_end(database, files, undisturbed, run_id, attempts=4)


def test_where_each_process_holds_a_part_and_one_lacks_memory_the_next_attempt_takes_fewer_rows(
    settings: Settings, launch: Launch, database: Database, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Supervisor(settings.model_copy(update={"processes": 2, "shard": True}), keep_warm=False)
    run_id = launch(batch_size=16, accumulation=2)
    monkeypatch.setenv("PYTHONPATH", str(GREEDY), prepend=os.pathsep)
    found = []
    for greedy in ("worker.helper", "worker.trainer", "nobody"):
        monkeypatch.setenv("GREEDY", greedy)
        pair.supervise(run_id)
        run = read(database, run_id)
        found.append((run.state, run.failures, read_json(files.run(run_id) / "plan.json")["micro_batch"]))
    pair.stop()
    assert found == [("queued", 0, 16), ("queued", 0, 8), ("succeeded", 0, 4)], run.error
    with database.read() as session:
        told = events.inexact(session, run_id)
    assert [line.split(";")[0].split("with ")[1] for line in told] == [
        "16 rows at a time",
        "8 rows at a time",
    ]


def killed_while_it_trains(pair: Supervisor, database: Database, run_id: str, of_helper: bool) -> None:
    """An attempt, until it has written a checkpoint and one of its processes is killed: with it the other one ends."""
    before = read(database, run_id)
    watching = in_background(pair, run_id)
    second = until_it_has_kept_more(database, run_id, before)
    run = read(database, run_id)
    assert run.pid is not None
    os.kill(second.pid if of_helper else run.pid, signal.SIGKILL)
    watching.join()
    run = read(database, run_id)
    assert (run.state, run.attempt, run.failures) == ("queued", before.attempt + 1, 0), run.error
    until(lambda: not second.is_running(), "the end of the second process")


def paused_while_it_trains(pair: Supervisor, database: Database, run_id: str) -> None:
    """An attempt, until it has written a checkpoint and is paused; then the run is queued again."""
    before = read(database, run_id)
    watching = in_background(pair, run_id)
    second = until_it_has_kept_more(database, run_id, before)
    with database.write() as session:
        runs.request_pause(session, run_id, time.time())
    watching.join()
    run = read(database, run_id)
    assert (run.state, run.attempt, run.failures) == ("paused", before.attempt + 1, 0), run.error
    assert (run.checkpoint_step or 0) > (before.checkpoint_step or 0)
    until(lambda: not second.is_running(), "the end of the second process")
    with database.write() as session:
        runs.request_resume(session, run_id, time.time())


def until_it_has_kept_more(database: Database, run_id: str, before: Run) -> psutil.Process:
    """Waits for a checkpoint of the attempt that is being started; its second process."""

    def has_begun() -> bool:
        run = read(database, run_id)
        return run.attempt > before.attempt and run.pid not in (None, before.pid)

    def has_kept_more() -> bool:
        run = read(database, run_id)
        assert run.state == "running", run.error
        return (run.checkpoint_step or 0) > (before.checkpoint_step or 0)

    until(has_begun, "the trainer")
    second = until(lambda: helper(read(database, run_id)), "the second process")
    until(has_kept_more, "a checkpoint")
    return second
