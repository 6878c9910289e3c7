"""A data folder as a week of work leaves it, without a training: a data set, a finished run, one in the middle."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core import attempts, runs
from app.core.archive import zip_folder
from app.core.attempts import Batch
from app.core.db import Database
from app.core.events import PointValue
from app.core.files import Files, write_json
from app.core.settings import Settings
from app.core.spec import parse_spec
from app.datasets.store import DatasetStore
from app.models.finished import folder_sha256
from tests.conftest import TurnedClock
from tests.serving import toy_csv
from tests.worker.real_runs import RealRuns


@dataclass(frozen=True)
class Lived:
    dataset: str
    finished: str
    running: str


@pytest.fixture
def real_runs(settings: Settings, database: Database, files: Files) -> Iterator[RealRuns]:
    made = RealRuns(settings, database, files)
    yield made
    made.supervisor.stop()


@pytest.fixture
def upload(database: Database, files: Files) -> Callable[[], str]:
    def sent() -> str:
        store = DatasetStore(database, files)
        upload = store.begin("toy.csv", None)
        upload.write(toy_csv(30).encode())
        upload.commit()
        store.read(upload.id)
        return upload.id

    return sent


@pytest.fixture
def lived(database: Database, files: Files, clock: TurnedClock, upload: Callable[[], str]) -> Lived:
    dataset = upload()
    columns = {"text": "text", "label": "label"}
    asked = {"dataset": dataset, "dataset_version": 1, "task": "classification", "columns": columns}
    names = {"finished": "a" * 12, "running": "b" * 12}
    for name, run_id in names.items():
        with database.write() as session:
            runs.create(session, run_id, parse_spec({**asked, "name": name}), "0" * 64, clock())
            attempts.claim(session, run_id, clock())
            points = [PointValue("train/loss", step, 1 / step, clock()) for step in (1, 2, 3)]
            attempts.record(session, run_id, 1, Batch(points=points, progress={"step": 3}), clock())
        folder = files.attempt(run_id, 1)
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("it began\n", encoding="utf-8")
        (folder / "best.safetensors").write_bytes(b"best")
        (files.run(run_id) / "lock").touch()
        write_json(files.run(run_id) / "plan.json", {"threads": 1, "libraries": {}})
    model = files.model(names["finished"])
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    (model / "model.safetensors").write_bytes(os.urandom(50_000))
    zip_folder(model, files.checkpoint_zip(names["finished"]))
    with database.write() as session:
        sha256 = folder_sha256(model)
        attempts.finish(session, names["finished"], 1, "succeeded", clock(), weights_sha256=sha256)
    for step in (2, 3):
        checkpoint(files.run(names["running"]) / "checkpoints" / f"{step:08d}", step)
    (files.run(names["running"]) / "checkpoints" / ".00000004.part").mkdir()
    files.cache.mkdir()
    (files.cache / "rows").write_bytes(b"may go")
    return Lived(dataset, names["finished"], names["running"])


def checkpoint(folder: Path, step: int) -> None:
    """A whole one, as worker.checkpoints writes it; its weights are not real."""
    folder.mkdir(parents=True)
    content = os.urandom(1000)
    (folder / "learned.safetensors").write_bytes(content)
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"version": 1, "step": step, "facts": {}, "files": {"learned.safetensors": told}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
