"""A worker with two slots: two runs train at once, each is kept alive, killed and resumed by itself, and goes on before later ones."""

from pathlib import Path

import pytest

from tests.faults.conftest import Told
from tests.faults.test_every_process import Disturbed
from tests.serving import serving

pytestmark = pytest.mark.slow


def test_two_runs_train_at_once_and_go_on_before_a_third(
    tmp_path: Path, undisturbed: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_SLOTS", "2")
    with serving(tmp_path) as served:
        disturbed = Disturbed(served, tmp_path / "models")
        one, two = disturbed.queue(), disturbed.queue()
        third = disturbed.queue(epochs=1, eval_steps=None)
        kept = [disturbed.kept(run_id, 1) for run_id in (one, two)]
        assert disturbed.view(third)["state"] == "queued"
        [worker] = served.call("GET", "/api/workers")
        assert (worker["slots"], {run["id"] for run in worker["runs"]}) == (2, {one, two})
        assert "2 of 2 slots taken" in served.call("GET", "/workers").decode()

        disturbed.trainer(one).kill()
        kept[0] = disturbed.kept(one, 2, behind=kept[0]["checkpoint_step"])
        kept[1] = disturbed.kept(two, 1)
        assert kept[1]["attempt"] == 1

        disturbed.find("worker.celery_app runs").kill()
        # Neither waits for its lease, so the third does not come in between.
        disturbed.kept(one, 3, behind=kept[0]["checkpoint_step"])
        disturbed.kept(two, 2, behind=kept[1]["checkpoint_step"])
        assert disturbed.view(third)["state"] == "queued"
        assert disturbed.end(one) == disturbed.end(two) == undisturbed
        disturbed.end(third)
        disturbed.database.close()
