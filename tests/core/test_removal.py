"""Deletions that a death cut off, at each of their steps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core import removal, runs
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.files import Files
from app.core.removal import remove_run, sweep


@pytest.fixture
def run_id(database: Database, files: Files, queue_run: Callable[[], str]) -> str:
    """A cancelled run with a file."""
    run_id = queue_run()
    with database.write() as session:
        runs.request_cancel(session, run_id, 0.0)
    files.model(run_id).mkdir(parents=True)
    (files.model(run_id) / "model.safetensors").write_bytes(b"0" * 100)
    return run_id


def left(files: Files) -> list[Path]:
    return list((files.root / "runs").rglob("*"))


def test_a_deleted_run_leaves_nothing(database: Database, files: Files, run_id: str) -> None:
    assert remove_run(database, files, run_id) == 100
    assert left(files) == []
    with database.read() as session, pytest.raises(NotFound):
        runs.get(session, run_id)


def test_one_whose_files_were_not_removed_yet_is_finished_by_the_next_start(
    database: Database, files: Files, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "folder_bytes", die)
    with pytest.raises(KeyboardInterrupt):
        remove_run(database, files, run_id)
    assert files.model(run_id).exists()
    assert sweep(database, files) == 1
    assert left(files) == []


def test_one_whose_record_is_still_there_stays(database: Database, files: Files, run_id: str) -> None:
    (files.root / "runs" / f"{run_id}.deleted").touch()
    assert sweep(database, files) == 0
    assert files.model(run_id).exists()
    assert remove_run(database, files, run_id) == 100


def test_a_folder_that_the_database_does_not_know_is_not_ours_to_remove(
    database: Database, files: Files
) -> None:
    folder = files.model("a" * 12)
    folder.mkdir(parents=True)
    sweep(database, files)
    assert folder.exists()


def test_a_run_that_is_not_over_keeps_its_files(
    database: Database, files: Files, queue_run: Callable[[], str]
) -> None:
    run_id = queue_run()
    files.run(run_id).mkdir(parents=True)
    with pytest.raises(Conflict):
        remove_run(database, files, run_id)
    assert left(files) == [files.run(run_id)]
