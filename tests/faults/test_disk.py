"""A disk that runs full or becomes read-only: a small file system of its own, which only root can mount."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.core.db import Database
from app.core.errors import NoSpace
from app.core.files import RESERVE, Files
from app.core.settings import Settings
from app.datasets.store import DatasetStore
from tests.faults.conftest import LONG, Told, data_folder
from tests.waiting import until

pytestmark = pytest.mark.slow
ROOM = RESERVE + 200 * 2**20

Remount = Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """tmp_path/home on a file system of its own; it takes memory only for what is in it."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", str(home)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def used(disk: Path) -> int:
    """Bytes, in whole pages."""
    blocks = subprocess.run(
        ["df", "--output=used", "-B1", str(disk)], capture_output=True, text=True, check=True
    )
    return int(blocks.stdout.split()[-1])


def test_a_disk_that_is_full_for_a_while_costs_checkpoints_and_nothing_else(
    disk: Path, tmp_path: Path, undisturbed: Told
) -> None:
    with data_folder(tmp_path) as folder:
        run_id = folder.runs.launch(**LONG)
        watching = folder.in_background(run_id)
        pid = folder.kept(run_id).pid
        assert pid is not None
        remount(disk, f"size={used(disk)}")
        # Until a checkpoint is long due, and points are; with best weights to be saved it waits and works no more.
        trainer = psutil.Process(pid)
        worked = trainer.cpu_times().user
        full_at = time.monotonic()
        until(
            lambda: trainer.cpu_times().user > worked + 1.0 or time.monotonic() > full_at + 5.0,
            "work on a full disk",
        )
        remount(disk, f"size={ROOM}")
        watching.join()
        run = folder.runs.read(run_id)
        assert (run.attempt, run.failures) == (1, 0)
        assert "The disk is too full" in folder.runs.said(run)
        assert folder.told(run_id) == undisturbed


def test_an_upload_that_the_disk_can_t_take_is_refused_and_leaves_nothing(disk: Path) -> None:
    settings = Settings(home=disk)
    store = DatasetStore(Database(settings.database), Files(settings.files_root))
    upload = store.begin("big.csv", None)
    remount(disk, f"size={2**20}")

    def send() -> None:
        for _ in range(4):
            upload.write(b"0" * 2**20)
        upload.commit()

    with pytest.raises(NoSpace, match=r"The disk ran full while big\.csv came in"):
        send()
    assert not list((disk / "datasets").iterdir())


def test_a_read_only_data_folder_is_said_in_a_sentence(disk: Path) -> None:
    remount(disk, "ro")
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve", "--home", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert f"The data folder {disk} can't be used" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
