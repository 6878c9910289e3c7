"""run:ID: a run that begins with the model of another, through real trainer processes."""

from typing import Any

import pytest

from app.core import events
from app.core.db import Database
from app.core.files import Files
from app.core.tables import Run
from app.models.finished import folder_sha256
from tests.serving import toy_csv
from tests.worker.real_runs import RealRuns

pytestmark = pytest.mark.slow
LEARN: dict[str, Any] = {"batch_size": 16, "learning_rate": 2e-3}


def first_loss(database: Database, run: Run) -> float:
    with database.read() as session:
        return float(events.read_points(session, run.id, ["train/loss"])["train/loss"]["value"][0])


def test_the_same_task_and_labels_keep_the_head_and_others_get_a_new_one(
    real_runs: RealRuns, database: Database, files: Files
) -> None:
    parent = real_runs.train(**LEARN, epochs=12)
    assert parent.state == "succeeded", parent.error
    assert parent.weights_sha256 == folder_sha256(files.model(parent.id))

    same = real_runs.train(**LEARN, model=f"run:{parent.id}", epochs=1)
    renamed = real_runs.upload(toy_csv(120).replace("positive", "yes").replace("negative", "no"))
    other = real_runs.train(**LEARN, dataset=renamed, model=f"run:{parent.id}", epochs=1)

    assert (same.state, other.state) == ("succeeded", "succeeded")
    assert (same.parent_id, same.parent_sha256) == (parent.id, parent.weights_sha256)
    assert first_loss(database, same) < 0.3 < first_loss(database, other)
    assert "its head is kept" in real_runs.said(same)
    assert "replaced by a new one" in real_runs.said(other)


def test_a_child_does_not_begin_with_other_weights_than_it_was_started_with(
    real_runs: RealRuns, files: Files
) -> None:
    parent = real_runs.train(**LEARN, epochs=1)

    def change() -> None:
        weights = files.model(parent.id) / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(bytes(content))

    child = real_runs.train(**LEARN, model=f"run:{parent.id}", epochs=1, before=change)

    assert child.state == "failed"
    assert child.error is not None and child.error["kind"] == "model"
    assert "not those that this run was started with" in child.error["message"]
