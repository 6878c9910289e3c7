"""Runs from the command line, on the data folder itself, without a server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.core import attempts, events, queue_order, runs
from app.core.attempts import Batch
from app.core.db import Database
from app.core.errors import Conflict, HeadstartError, Invalid, NotFound
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import another_name
from tests.conftest import TurnedClock

QueueRun = Callable[[], str]
Headstart = Callable[..., str]


@pytest.fixture
def headstart(settings: Settings) -> Headstart:
    """What the command prints; an error is raised. `answer` is typed on the keyboard."""

    def call(*arguments: str, answer: str = "", home: Path = settings.home) -> str:
        done = CliRunner().invoke(cli, [*arguments, "--home", str(home)], input=answer)
        if isinstance(done.exception, HeadstartError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


def read(database: Database, run_id: str) -> Run:
    with database.read() as session:
        return runs.get(session, run_id)


def test_runs_lists_where_each_stands(
    headstart: Headstart, database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    assert headstart("runs") == "There are no runs yet.\n"
    running, first, second = queue_run(), queue_run(), queue_run()
    with database.write() as session:
        attempts.claim(session, running, clock())
        attempts.record(session, running, 1, Batch(progress={"phase": "", "step": 3, "steps": 9}), clock())
    lines = {line.split()[0]: line for line in headstart("runs").splitlines()}
    assert "running" in lines[running] and "step 3 of 9" in lines[running]
    assert "next in the queue" in lines[first] and "number 2 in the queue" in lines[second]


def test_a_run_is_paused_resumed_and_cancelled_by_the_beginning_of_its_id(
    headstart: Headstart, database: Database, queue_run: QueueRun
) -> None:
    run_id = queue_run()
    assert "is paused" in headstart("pause", run_id[:6])
    assert "is queued again" in headstart("resume", "reviews")
    assert "is cancelled" in headstart("cancel", run_id)
    with pytest.raises(Conflict, match="cancelled already, so there is nothing to resume"):
        headstart("resume", run_id)
    assert "begins again" in headstart("retry", run_id)
    assert read(database, run_id).state == "queued"


def test_a_name_that_several_have_is_refused_with_their_ids(
    headstart: Headstart, queue_run: QueueRun
) -> None:
    first, second = queue_run(), queue_run()
    with pytest.raises(Conflict) as told:
        headstart("pause", "Reviews")
    assert first in told.value.message and second in told.value.message
    with pytest.raises(NotFound, match="no run 'nothing'"):
        headstart("cancel", "nothing")


def test_a_queued_run_moves_to_the_front(
    headstart: Headstart, database: Database, queue_run: QueueRun
) -> None:
    first, second = queue_run(), queue_run()
    assert "next in the queue" in headstart("move", second)
    with database.read() as session:
        assert queue_order.queued_ids(session) == [second, first]
    with pytest.raises(Invalid, match="not 'sideways'"):
        headstart("move", second, "sideways")


def test_delete_says_what_it_frees_and_asks(
    headstart: Headstart, database: Database, queue_run: QueueRun, files: Files
) -> None:
    run_id = queue_run()
    with pytest.raises(Conflict, match="cancel it before you delete it"):
        headstart("delete", run_id, "--yes")
    headstart("cancel", run_id)
    folder = files.run(run_id)
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(b"x" * 3 * 2**20)
    assert "frees 3 MB" in headstart("delete", run_id, answer="n\n")
    assert folder.exists() and read(database, run_id)
    assert "3 MB are free again" in headstart("delete", run_id, "--yes")
    assert not folder.exists()


def test_a_data_set_in_use_is_not_deleted(
    headstart: Headstart, database: Database, queue_run: QueueRun, dataset_id: str
) -> None:
    run_id = queue_run()
    with pytest.raises(Conflict, match=r"uses reviews\.csv: delete that run first"):
        headstart("delete", "--data", "reviews", "--yes")
    headstart("cancel", run_id)
    headstart("delete", run_id, "--yes")
    assert "is deleted" in headstart("delete", "--data", "reviews.csv", "--yes")


def test_log_prints_what_the_run_reported_and_what_its_processes_printed(
    headstart: Headstart, database: Database, queue_run: QueueRun, files: Files, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        events.append(session, run_id, "log", {"level": "info", "message": "Rows: 8 train."}, clock())
    folder = files.attempt(run_id, 1)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("a warning of torch\n", encoding="utf-8")
    text = headstart("log", run_id)
    assert "info: Rows: 8 train." in text and text.endswith("a warning of torch\n")


@pytest.mark.slow
def test_a_clone_has_the_settings_but_for_what_is_said(
    headstart: Headstart, database: Database, files: Files, settings: Settings, queue_run: QueueRun
) -> None:
    store = DatasetStore(database, files)
    upload = store.begin("toy.csv", None)
    upload.write(b"text,label\n" + b"".join(b"good film %d,a\nbad film %d,b\n" % (n, n) for n in range(40)))
    upload.commit()
    store.read(upload.id)
    from app.launch import Launcher
    from app.models.catalog import ModelCatalog

    columns = {"text": "text", "label": "label"}
    spec = {"dataset": upload.id, "task": "classification", "columns": columns, "name": "Toy", "epochs": 3}
    launcher = Launcher(database, files, store, ModelCatalog(settings), enqueue=lambda _: None)
    run_id = launcher.launch({**spec, "strategy": {"kind": "partial", "layers": 2}})
    told = headstart("clone", run_id, "--option", "seed=7", "--option", "strategy.layers=1")
    assert "Toy (2) (" in told
    with database.read() as session:
        [made] = [run for run in runs.listed(session) if run.name == "Toy (2)"]
    assert (made.spec["seed"], made.spec["epochs"]) == (7, 3)
    assert (made.spec["strategy"]["kind"], made.spec["strategy"]["layers"]) == ("partial", 1)


def test_another_name_is_the_next_that_is_free() -> None:
    assert another_name("Toy", set()) == "Toy (2)"
    assert another_name("Toy (2)", {"Toy", "Toy (2)", "Toy (3)"}) == "Toy (4)"


def test_a_folder_without_data_is_a_sentence(headstart: Headstart, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no Headstart data in"):
        headstart("runs", home=tmp_path / "nowhere")
