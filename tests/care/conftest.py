"""A data folder as a week of work leaves it, without a training: a data set, a finished run, one in the middle."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.core import attempts, runs
from app.core.archive import zip_folder
from app.core.attempts import Batch
from app.core.db import Database
from app.core.events import PointValue
from app.core.files import Files, write_json
from app.core.settings import Settings
from app.core.spec import parse_spec
from app.core.tables import FilePrediction, LabelCheck
from app.datasets.changes import parse_change
from app.datasets.edits import Edits
from app.datasets.store import DatasetStore
from app.datasets.versions import Versions
from app.models.finished import folder_sha256
from app.tasks import suspects
from app.tasks.suspects import Summary
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
    _by_hand(database, files, dataset, names["finished"], clock())
    files.cache.mkdir()
    (files.cache / "rows").write_bytes(b"may go")
    return Lived(dataset, names["finished"], names["running"])


def _by_hand(database: Database, files: Files, dataset: str, run_id: str, now: float) -> None:
    """What users have made meanwhile: edits that are not saved, a search for wrong labels, a predicted file."""
    edits = Edits(database, files, Versions(database, files))
    edits.change(dataset, parse_change({"drop": [3]}))
    suspects.write(files.suspects(run_id), [], Summary(rows=30, looked_at=30, likely=0, seconds=1.0))
    (files.run(run_id) / "label-check.txt").write_text("it looked\n", encoding="utf-8")
    (files.run(run_id) / "replay.jsonl").write_text('{"text": "its own"}\n', encoding="utf-8")
    folder = files.predicted(run_id, "c" * 12)
    folder.mkdir(parents=True)
    for name in ("original", "result.csv"):
        (folder / name).write_text("text\nfine\n", encoding="utf-8")
    ended: dict[str, Any] = {"state": "succeeded", "created_at": now, "finished_at": now}
    with database.write() as session:
        session.add(LabelCheck(run_id=run_id, **ended))
        session.add(FilePrediction(id="c" * 12, run_id=run_id, name="new.csv", columns={}, **ended))


def checkpoint(folder: Path, step: int) -> None:
    """A whole one, as worker.checkpoints writes it; its weights are not real."""
    folder.mkdir(parents=True)
    content = os.urandom(1000)
    (folder / "learned.safetensors").write_bytes(content)
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"version": 1, "step": step, "facts": {}, "files": {"learned.safetensors": told}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
