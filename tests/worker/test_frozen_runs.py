"""Runs whose lower blocks are frozen, through real trainer processes: computed once, found again by the next run."""

import json
from typing import Any

import pytest

from app.core.files import Files
from app.core.settings import Settings
from tests.worker.real_runs import RealRuns
from worker.supervisor import Supervisor

pytestmark = pytest.mark.slow
PARTIAL = {"kind": "partial", "layers": 1}
LEARN: dict[str, Any] = {"epochs": 2, "batch_size": 16, "learning_rate": 2e-3}
HEAD = {"kind": "head", "fit": "epochs"}


@pytest.mark.parametrize("strategy", [PARTIAL, HEAD], ids=["partial", "head"])
def test_the_next_run_finds_what_the_first_computed_and_ends_with_the_same_weights(
    real_runs: RealRuns, files: Files, settings: Settings, strategy: dict[str, Any]
) -> None:
    first = real_runs.train(**LEARN, strategy=strategy)
    assert first.state == "succeeded", first.error
    assert "The frozen part is computed once" in real_runs.said(first)
    assert len(list(files.frozen_outputs.glob("*.f32"))) == 2  # of train and validation
    noted = json.loads((files.run(first.id) / "plan.json").read_text())
    assert noted["frozen_part"] == "computed once"

    second = real_runs.train(**LEARN, strategy=strategy)
    assert "was computed by an earlier run" in real_runs.said(second)
    for path in files.frozen_outputs.iterdir():
        path.unlink()
    third = real_runs.train(**LEARN, strategy=strategy)
    assert "The frozen part is computed once" in real_runs.said(third)
    assert first.weights_sha256 == second.weights_sha256 == third.weights_sha256

    run_id = real_runs.launch(**LEARN, strategy=strategy)
    small = Supervisor(settings.model_copy(update={"cache_gb": 0.0}), keep_warm=False)
    small.supervise(run_id)
    small.stop()
    without = real_runs.read(run_id)
    assert "in memory." in real_runs.said(without)
    assert without.weights_sha256 == first.weights_sha256


def test_a_run_that_changes_all_weights_keeps_nothing(real_runs: RealRuns, files: Files) -> None:
    run = real_runs.train(**{**LEARN, "epochs": 1})
    assert run.state == "succeeded", run.error
    assert "frozen part" not in real_runs.said(run)
    assert not files.frozen_outputs.exists()
