"""A run that fits its head first, and its download moved between the head-only and the fine-tuned model."""

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load_file

from app.core.files import Files
from app.core.settings import Settings
from app.main import create_app
from app.models.finished import folder_sha256
from app.tasks import heldout
from tests.worker.test_adapters import Train, train
from worker.predictor import Answering

pytestmark = pytest.mark.slow
__all__ = ["train"]  # a fixture


def test_the_download_moves_along_the_line_and_back(train: Train, files: Files, settings: Settings) -> None:
    done = train("bert", {"kind": "full", "head_first": True}, learning_rate=2e-3)
    assert done.state == "succeeded", done.error
    assert done.results is not None and done.metrics is not None
    found, line = done.results["interpolation"], files.interpolation(done.id)
    metric = found["metric"]
    assert len(found["validation"]) == len(found["test"]) == 11
    assert found["test"][-1] == done.metrics[metric]
    assert found["test"][0] == pytest.approx(done.results["head_first"]["metrics"][metric])
    assert max(found["validation"]) == found["validation"][round(10 * found["chosen"])]
    fine = load_file(files.model(done.id) / "model.safetensors")
    head_only = load_file(line / "head_only" / "model.safetensors")
    sha256 = folder_sha256(files.model(done.id))
    answering = Answering(settings)
    before = answering.predict(done.id, ["a good film"])

    with TestClient(create_app(settings, hosts=("testserver",))) as client:
        moved = client.post(f"/api/runs/{done.id}/interpolate", json={"alpha": 0.3})
        assert moved.status_code == 200, moved.text
        view = moved.json()
        assert view["metrics"][metric] == pytest.approx(found["test"][3])
        assert view["results"]["interpolation"]["download"] == 0.3
        now = load_file(files.model(done.id) / "model.safetensors")
        for name, tensor in now.items():
            torch.testing.assert_close(tensor, head_only[name] + 0.3 * (fine[name] - head_only[name]))
        assert "0.3 of the way" in (files.model(done.id) / "README.md").read_text(encoding="utf-8")
        after = answering.predict(done.id, ["a good film"])
        assert after != before
        page = client.get(f"/runs/{done.id}").text
        assert "Between head-only and fine-tuned" in page and "0.3 of the way" in page

        client.post(
            f"/runs/{done.id}/interpolate", data={"alpha": "1.0"}, headers={"origin": "http://testserver"}
        )
        assert folder_sha256(files.model(done.id)) == sha256
        assert answering.predict(done.id, ["a good film"]) == before
        assert client.get(f"/api/runs/{done.id}").json()["metrics"] == done.metrics
        refused = client.post(f"/api/runs/{done.id}/interpolate", json={"alpha": 0.25})
        assert (refused.status_code, refused.json()["error"]["message"]) == (
            422,
            "alpha is 0.25; it must be a tenth from 0 to 1, as 0.6.",
        )
    assert (files.run(done.id) / heldout.FILE).read_bytes() == (line / "10" / heldout.FILE).read_bytes()
    assert not list(files.run(done.id).glob("*.part"))
