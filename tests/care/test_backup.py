"""A backup made while others write, and the data folder that comes out of it."""

import io
import itertools
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.care.backup import STAGING, backup, left_behind
from app.care.restore import restore
from app.core import events, runs
from app.core.db import Database
from app.core.errors import Conflict, Invalid, NotFound
from app.core.files import Files
from app.core.settings import Settings
from app.datasets.changes import parse_change
from app.datasets.edits import Edits
from app.datasets.store import DatasetStore
from app.datasets.versions import Versions
from tests.care.conftest import Lived
from tests.waiting import until
from tests.worker.real_runs import RealRuns
from worker.supervisor import Supervisor


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for room in ("datasets", "runs")
        for path in (root / room).rglob("*")
        if path.is_file()
    }


def test_what_is_restored_is_what_was_there(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    done = backup(settings, tmp_path / "all.tar")
    assert (done.datasets, done.runs, done.missing) == (1, 2, [])
    assert done.bytes == (tmp_path / "all.tar").stat().st_size
    restore(tmp_path / "all.tar", tmp_path / "again")
    before, after = contents(settings.home), contents(tmp_path / "again")
    left_out = {name for name in before if name not in after}
    assert all(name.endswith(("/lock", "best.safetensors")) for name in left_out), left_out
    assert after == {name: before[name] for name in after}
    assert f"runs/{lived.finished}/checkpoint.zip" in after  # made anew: the same bytes
    assert f"runs/{lived.running}/checkpoints/00000003/manifest.json" in after
    beside = ("suspects.parquet", "label-check.txt", "replay.jsonl", f"files/{'c' * 12}/result.csv")
    assert {f"runs/{lived.finished}/{name}" for name in beside} <= after.keys()
    assert f"datasets/{lived.dataset}/edits.jsonl" in after
    database = Database(f"sqlite:///{tmp_path / 'again' / 'headstart.db'}")
    with database.read() as session:
        assert events.read_points(session, lived.finished, None)["train/loss"]["step"] == [1, 2, 3]
    database.close()


def test_a_running_run_waits_in_the_restored_queue(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "all.tar")
    assert restore(tmp_path / "all.tar", tmp_path / "again").waiting == 1
    database = Database(f"sqlite:///{tmp_path / 'again' / 'headstart.db'}")
    with database.read() as session:
        assert runs.get(session, lived.running).state == "queued"
        assert runs.get(session, lived.finished).state == "succeeded"
    database.close()


def test_what_may_be_made_again_is_left_out(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "all.tar")
    found = names(tmp_path / "all.tar")
    assert not any(name.startswith(("cache", "broker", "logs")) for name in found)
    assert f"runs/{lived.finished}/checkpoint.zip" not in found
    assert found[0] == "headstart-backup.json"
    assert found[-1] == "manifest.json"


def test_only_its_owner_reads_a_backup_and_nothing_else_is_left(
    lived: Lived, settings: Settings, tmp_path: Path
) -> None:
    backup(settings, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.home.glob(f"{STAGING}*")] == []
    assert list(tmp_path.glob(".*.part")) == []


def test_a_backup_overwrites_nothing(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "all.tar").write_text("precious", encoding="utf-8")
    with pytest.raises(Invalid, match="overwrites nothing"):
        backup(settings, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").read_text(encoding="utf-8") == "precious"


def test_a_folder_without_a_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Is --home right"):
        backup(Settings(home=tmp_path / "nowhere"), tmp_path / "all.tar")


def test_what_the_database_names_and_the_disk_lacks_is_said(
    lived: Lived, settings: Settings, files: Files, tmp_path: Path
) -> None:
    (files.version(lived.dataset, 1) / "rows.parquet").unlink()
    (missing,) = backup(settings, tmp_path / "all.tar").missing
    assert lived.dataset in missing


def test_deletions_and_uploads_meanwhile_leave_it_consistent(
    lived: Lived, settings: Settings, database: Database, files: Files, tmp_path: Path
) -> None:
    """Whatever another thread adds and removes: each backup holds the files of the rows that it holds."""
    over = threading.Event()
    store = DatasetStore(database, files)

    def churn() -> None:
        while not over.is_set():
            upload = store.begin("more.csv", None)
            upload.write(b"text,label\na,b\nc,d\n")
            upload.commit()
            store.read(upload.id)
            store.delete(upload.id)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(8):
            done = backup(settings, tmp_path / f"{number}.tar")
            assert done.missing == []
            restore(done.path, tmp_path / f"again-{number}")
            home = tmp_path / f"again-{number}"
            with closing(sqlite3.connect(home / "headstart.db")) as connection:
                ready = connection.execute("SELECT id FROM dataset WHERE state = 'ready'").fetchall()
            assert all((home / "datasets" / one / "v1" / "rows.parquet").is_file() for (one,) in ready)
    finally:
        over.set()
        thread.join()


def test_edits_and_saves_meanwhile_are_in_it_up_to_one_moment(
    lived: Lived, settings: Settings, database: Database, files: Files, tmp_path: Path
) -> None:
    """Somebody counts in two cells by turns and saves now and then: in each backup the cells are as they were at some moment."""
    over = threading.Event()
    edits = Edits(database, files, Versions(database, files))
    edits.discard(lived.dataset)

    def count() -> None:
        seen = {row["row_id"]: row["cells"]["text"] for row in edits.rows(lived.dataset, (0, 1))}
        for number in itertools.count():
            for row in (0, 1):
                cell = {"row": row, "column": "text", "value": str(number), "before": seen[row]}
                edits.change(lived.dataset, parse_change({"cells": [cell]}))
                seen[row] = str(number)
            if over.is_set():
                return
            if number % 3 == 2:
                edits.save(lived.dataset)

    thread = threading.Thread(target=count)
    thread.start()
    states = set()
    try:
        until(lambda: edits.look(lived.dataset)["version"] > 1, "the first save")
        for number in range(8):
            home = tmp_path / f"again-{number}"
            restore(backup(settings, tmp_path / f"{number}.tar").path, home)
            copy, its_files = Database(f"sqlite:///{home / 'headstart.db'}"), Files(home)
            there = Edits(copy, its_files, Versions(copy, its_files))
            first, second = (int(row["cells"]["text"]) for row in there.rows(lived.dataset, (0, 1)))
            assert first - second in (0, 1)
            states.add((there.look(lived.dataset)["version"], first, second))
            if there.look(lived.dataset)["changes"]:
                there.save(lived.dataset)  # it goes on from there
            copy.close()
    finally:
        over.set()
        thread.join()
    assert len(states) > 1


def test_writers_wait_a_moment_only(
    lived: Lived, settings: Settings, database: Database, tmp_path: Path
) -> None:
    """The lock is gone before the first byte is copied, and what is written then is not in the copy."""
    told = 0

    def tell(_done: int, _total: int) -> None:
        nonlocal told
        if not told:
            with database.write() as session, pytest.raises(Conflict):
                runs.request_cancel(session, lived.finished, time.time())
            with database.write() as session:
                runs.request_cancel(session, lived.running, time.time())
        told += 1

    backup(settings, tmp_path / "all.tar", tell)
    assert told
    assert restore(tmp_path / "all.tar", tmp_path / "again").waiting == 1  # not cancelled


def test_the_links_of_a_killed_backup_are_found(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    (settings.home / f"{STAGING}dead").mkdir()
    assert left_behind(settings.home) == [settings.home / f"{STAGING}dead"]
    backup(settings, tmp_path / "all.tar")
    assert list(settings.home.glob(f"{STAGING}*")) == []


def test_a_folder_that_is_not_empty_is_not_touched(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    backup(settings, tmp_path / "all.tar")
    with pytest.raises(Invalid, match="not an empty folder"):
        restore(tmp_path / "all.tar", settings.home)


@pytest.mark.parametrize("how", ["cut", "flipped", "other", "without its end"])
def test_a_damaged_backup_restores_nothing(
    how: str, lived: Lived, settings: Settings, tmp_path: Path
) -> None:
    path = backup(settings, tmp_path / "all.tar").path
    content = bytearray(path.read_bytes())
    if how == "cut":
        del content[len(content) // 2 :]
    elif how == "flipped":
        with tarfile.open(path) as tar:
            member = tar.getmember(f"runs/{lived.finished}/model/model.safetensors")
        content[member.offset_data + 17] ^= 1
    elif how == "other":
        content[:] = b"text,label\n" * 1000
    else:
        with tarfile.open(path) as tar:
            del content[tar.getmember("manifest.json").offset :]
    path.write_bytes(content)
    with pytest.raises(Invalid, match=r"all\.tar") as caught:
        restore(path, tmp_path / "again")
    if how == "flipped":
        assert "model.safetensors" in caught.value.message
    assert not (tmp_path / "again").exists()
    assert list(tmp_path.glob(".again*")) == []


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "runs/../../outside", "config"])
def test_a_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        for member, content in (("headstart-backup.json", b'{"format": 1, "bytes": 1}'), (name, b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(Invalid, match="nothing was restored"):
        restore(tmp_path / "evil.tar", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def test_an_older_schema_is_brought_up_to_date(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    from app.core import migrate as migrating
    from app.core.migrate import revision
    from app.core.migrations import HEAD

    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    old = Database(settings.database)
    with old.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        connection.commit()
    old.close()
    backup(settings, tmp_path / "all.tar")
    restore(tmp_path / "all.tar", tmp_path / "again")
    assert revision(tmp_path / "again" / "headstart.db") == HEAD


def test_the_command_line_tells_how_much_it_was(lived: Lived, settings: Settings, tmp_path: Path) -> None:
    def headstart(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env={**os.environ, "HEADSTART_HOME": str(settings.home)},
            capture_output=True,
            text=True,
        )

    done = headstart("backup", str(tmp_path / "all.tar"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "KB, 1 data sets, 2 runs" in done.stdout
    again = headstart("backup", str(tmp_path / "all.tar"))
    assert again.returncode == 1
    assert "overwrites nothing" in again.stderr
    assert "Traceback" not in again.stderr
    back = headstart("restore", str(tmp_path / "all.tar"), "--home", str(tmp_path / "again"))
    assert back.returncode == 0
    assert "1 run waits in the queue" in back.stdout


@pytest.mark.slow
def test_a_run_that_is_backed_up_in_its_middle_ends_with_the_same_weights(
    settings: Settings, database: Database, real_runs: RealRuns, tmp_path: Path
) -> None:
    asked = {"epochs": 20, "checkpoint_seconds": 0.05}
    run_id = real_runs.launch(**asked)
    training = threading.Thread(target=real_runs.supervisor.supervise, args=(run_id,))
    training.start()
    until(lambda: real_runs.read(run_id).checkpoint_step >= 10, "a checkpoint")
    backup(settings, tmp_path / "all.tar")
    training.join()
    undisturbed = real_runs.read(run_id)
    assert undisturbed.state == "succeeded", undisturbed.error

    assert restore(tmp_path / "all.tar", tmp_path / "again").waiting == 1
    elsewhere = settings.model_copy(update={"home": tmp_path / "again"})
    supervisor = Supervisor(elsewhere, keep_warm=False)
    supervisor.supervise(run_id)
    supervisor.stop()
    with supervisor.database.read() as session:
        run = runs.get(session, run_id)
        curve = events.read_points(session, run_id, ["train/loss"])["train/loss"]
    assert (run.state, run.attempt) == ("succeeded", 2), run.error
    assert run.weights_sha256 == undisturbed.weights_sha256
    with database.read() as session:
        told = events.read_points(session, run_id, ["train/loss"])["train/loss"]
    assert (curve["step"], curve["value"]) == (told["step"], told["value"])
    with supervisor.database.read() as session:
        rewinds = [
            one.payload["step"] for one in events.after(session, run_id, 0, 10**6) if one.kind == "rewind"
        ]
    assert rewinds[-1] >= 10  # it went on, and did not begin again
