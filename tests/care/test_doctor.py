"""The doctor finds what was broken on purpose, says what to do, and removes only what no record names."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.care import doctor, surroundings
from app.care.doctor import examine, remove_orphans
from app.care.findings import Report
from app.core import files as core_files
from app.core.db import Database
from app.core.files import Files, new_id, write_json
from app.core.settings import Settings
from tests.care.conftest import Lived
from tests.conftest import TurnedClock
from worker import checkpoints


def look(settings: Settings, clock: TurnedClock | None = None) -> Report:
    return examine(settings, lambda _: None, *([clock] if clock else []))


def said(report: Report, level: str) -> str:
    return "\n".join(one.message for one in report.findings if one.level == level)


@pytest.fixture
def later() -> TurnedClock:
    """A day from now: nothing on the disk is young."""
    import time

    return TurnedClock(time.time() + 86400)


def test_a_whole_folder_has_nothing_but_the_note_that_nobody_serves_it(
    lived: Lived, settings: Settings, later: TurnedClock
) -> None:
    report = look(settings, later)
    assert [one.level for one in report.findings] == ["note"]
    assert "not running" in report.findings[0].message
    assert report.orphans == {}
    assert {"rows of 1 versions of data sets", "weights of 1 models"} <= set(report.checked)
    assert "2 checkpoints of 1 runs that are not over" in report.checked


def test_what_lies_beside_rows_and_weights_is_looked_at(
    lived: Lived, settings: Settings, files: Files
) -> None:
    edits = files.dataset(lived.dataset) / "edits.jsonl"
    with edits.open("ab") as file:
        file.write(b'{"undo": true}\n{"undo": true}\n')
    files.suspects(lived.finished).write_bytes(b"PAR1")
    (files.predicted(lived.finished, "c" * 12) / "result.csv").unlink()
    report = look(settings)
    assert f"The edits of toy.csv that are not saved ({edits}) can't be read" in said(report, "error")
    assert "that the search for wrong labels found" in said(report, "warning")
    assert "The answers for the file new.csv" in said(report, "warning")


def test_a_flipped_bit_in_the_rows_is_found(lived: Lived, settings: Settings, files: Files) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = files.version(lived.dataset, 1) / "rows.parquet"
    table = pq.read_table(path)
    label = pa.array(["other", *table["label"].to_pylist()[1:]])
    pq.write_table(table.set_column(table.column_names.index("label"), "label", label), path)
    assert "their checksum differs" in said(look(settings), "error")
    path.write_bytes(b"no parquet")
    assert "can't be read" in said(look(settings), "error")
    path.unlink()
    assert "are missing" in said(look(settings), "error")


def test_a_flipped_bit_in_weights_is_found(lived: Lived, settings: Settings, files: Files) -> None:
    path = files.model(lived.finished) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert "other weights" in said(look(settings), "error")
    shutil.rmtree(files.model(lived.finished))
    assert "is missing" in said(look(settings), "error")


def test_damaged_checkpoints_are_told_with_what_happens_then(
    lived: Lived, settings: Settings, files: Files
) -> None:
    folder = files.run(lived.running) / "checkpoints"
    (folder / "00000003" / "learned.safetensors").write_bytes(b"short")
    assert "step 3 of 'running'" in said(look(settings), "warning")
    assert "goes on from the one before" in said(look(settings), "warning")
    (folder / "00000002" / "manifest.json").write_text("{", encoding="utf-8")
    assert "it begins again" in said(look(settings), "warning")


def test_another_library_than_the_plans_is_told(lived: Lived, settings: Settings, files: Files) -> None:
    plan = {"libraries": {"torch": "1.0.0", "transformers": surroundings.version_of("transformers")}}
    write_json(files.run(lived.running) / "plan.json", plan)
    assert "began with torch 1.0.0" in said(look(settings), "warning")
    assert "transformers" not in said(look(settings), "warning")


def test_orphans_are_found_and_only_they_are_removed(
    lived: Lived, settings: Settings, files: Files, later: TurnedClock
) -> None:
    orphan, young = files.run(new_id()), files.dataset(new_id())
    for folder in (orphan, young):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 1000)
    os.utime(young, (later(), later()))
    (settings.home / ".backup-dead").mkdir()
    report = look(settings, later)
    assert report.orphans == {orphan: 1000, settings.home / ".backup-dead": 0}
    assert remove_orphans(report) == 1000
    assert not orphan.exists()
    assert young.exists()
    assert files.run(lived.finished).is_dir()


def test_a_database_that_knows_nothing_makes_no_orphans(
    database: Database, settings: Settings, files: Files, later: TurnedClock
) -> None:
    files.run(new_id()).mkdir(parents=True)
    report = look(settings, later)
    assert report.orphans == {}
    assert "database of another folder" in said(report, "warning")


def test_broken_references_are_found(lived: Lived, settings: Settings) -> None:
    with closing(sqlite3.connect(settings.home / "headstart.db")) as connection:
        connection.execute("DELETE FROM dataset")
        connection.commit()
    assert "name others that are missing" in said(look(settings), "error")


def test_a_damaged_database_is_one_sentence(lived: Lived, settings: Settings, database: Database) -> None:
    database.close()
    path = settings.home / "headstart.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    report = look(settings)
    assert report.broken
    assert "Restore a backup" in said(report, "error")


def test_schemas_of_other_times_are_told(lived: Lived, settings: Settings) -> None:
    for schema, level in (("9999", "error"), ("0001", "warning")):
        with closing(sqlite3.connect(settings.home / "headstart.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
            connection.commit()
        assert f"has schema {schema}" in said(look(settings), level)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    assert "no data folder" in said(look(Settings(home=tmp_path / "nowhere")), "error")


def test_a_broker_that_does_not_answer_is_an_error_only_where_it_should(
    lived: Lived, settings: Settings, tmp_path: Path
) -> None:
    elsewhere = settings.model_copy(update={"broker_url": f"unix://{tmp_path / 'none.sock'}"})
    assert "HEADSTART_BROKER_URL does not answer" in said(look(elsewhere), "error")


def test_other_users_and_a_full_disk_are_told(
    lived: Lived, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.home.chmod(0o755)
    assert "chmod 700" in said(look(settings), "warning")
    monkeypatch.setattr(surroundings, "RESERVE", 2**62)
    assert "nothing new is begun" in said(look(settings), "error")
    assert core_files.RESERVE < 2**62


def test_the_version_of_checkpoints_is_the_workers() -> None:
    assert doctor.CHECKPOINT_VERSION == checkpoints.VERSION


@pytest.fixture
def orphan(lived: Lived, files: Files) -> Path:
    folder = files.run(new_id())
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"x" * 5000)
    os.utime(folder, (1_600_000_000, 1_600_000_000))
    return folder


def headstart(settings: Settings, *arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "doctor", "--home", str(settings.home), *arguments],
        env={**os.environ, "HEADSTART_OFFLINE": "1"},
        input=answer,
        capture_output=True,
        text=True,
    )


def test_the_command_asks_before_it_removes(
    orphan: Path, settings: Settings, files: Files, lived: Lived
) -> None:
    asked = headstart(settings, "--fix", answer="n\n")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "5 KB" in asked.stdout
    assert "Nothing was removed" in asked.stdout
    assert orphan.exists()
    (files.model(lived.finished) / "model.safetensors").write_bytes(b"other")
    done = headstart(settings, "--fix", "--yes")
    assert done.returncode == 1  # for the weights
    assert "Error: The model of the run 'finished'" in done.stdout
    assert not orphan.exists()
