"""The slider between the head-only and the fine-tuned model, and when its model may not move."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.web.interpolate import picture
from app.web.services import Services
from tests.web import gallery

LINE = {
    "alphas": [tenth / 10 for tenth in range(11)],
    "metric": "macro_f1",
    "lower": False,
    "validation": [0.7 + tenth / 100 for tenth in range(10)] + [0.75],
    "test": [0.68 + tenth / 100 for tenth in range(11)],
    "chosen": 0.9,
    "download": 1.0,
}
Upload = Callable[..., dict[str, Any]]


def run_with_a_line(services: Services, dataset: str) -> str:
    results = {**gallery.ENDINGS["classification"]().results, "interpolation": LINE}
    run_id = gallery.finished(services, "classification", dataset, results=results)
    services.files.interpolation(run_id).mkdir()
    return run_id


def test_the_curves_span_the_picture_and_the_best_and_the_download_are_marked() -> None:
    found = picture(
        {"task": "classification", "metrics": {"macro_f1": 0.78}, "results": {"interpolation": LINE}}
    )
    assert found is not None
    assert [one["alpha"] for one in found["points"] if one["chosen"]] == [0.9]
    assert [one["alpha"] for one in found["points"] if one["download"]] == [1.0]
    xs = [one["x"] for one in found["points"]]
    assert xs == sorted(xs) and (xs[0], xs[-1]) == (found["left"], found["right"])
    assert min(one["y"] for one in found["points"]) == found["points"][9]["y"]  # the best is on top
    assert found["points"][9]["validation"] == "0.790"
    assert picture({"task": "classification", "metrics": {}, "results": {}}) is None


def test_the_page_offers_each_point_and_begins_with_the_best_on_validation(
    client: TestClient, services: Services, upload: Upload
) -> None:
    run_id = run_with_a_line(services, upload()["id"])
    page = client.get(f"/runs/{run_id}").text
    assert page.count('<option value="') >= 11
    assert '<option value="0.9" selected>0.9 · validation 0.790 · held-out 0.770</option>' in page
    assert "held-out 0.780 · the download" in page
    assert f'action="/runs/{run_id}/interpolate"' in page


@pytest.mark.parametrize("body", [{}, {"alpha": "0.6"}, {"alpha": True}, {"alpha": 0.6, "more": 1}, [0.6]])
def test_only_a_number_is_a_point(client: TestClient, services: Services, upload: Upload, body: Any) -> None:
    run_id = run_with_a_line(services, upload()["id"])
    refused = client.post(f"/api/runs/{run_id}/interpolate", json=body)
    assert refused.status_code == 422
    assert "Send {" in refused.json()["error"]["message"]


@pytest.mark.parametrize("alpha", [-0.1, 1.1, 0.25, 1e300])
def test_a_point_is_a_tenth(client: TestClient, services: Services, upload: Upload, alpha: float) -> None:
    run_id = run_with_a_line(services, upload()["id"])
    refused = client.post(f"/api/runs/{run_id}/interpolate", json={"alpha": alpha})
    assert (refused.status_code, "must be a tenth" in refused.json()["error"]["message"]) == (422, True)


def test_a_run_without_a_line_or_not_over_or_with_children_does_not_move(
    client: TestClient, services: Services, upload: Upload, launch: Callable[..., str]
) -> None:
    dataset = upload()["id"]
    plain = gallery.finished(services, "classification", dataset)
    base = run_with_a_line(services, dataset)
    child = gallery.finished(services, "classification", dataset, parent=base)
    queued = launch()

    def refusal(run_id: str) -> str:
        answer = client.post(f"/api/runs/{run_id}/interpolate", json={"alpha": 0.5})
        assert answer.status_code == 409
        return str(answer.json()["error"]["message"])

    assert "fitted its head first" in refusal(plain)
    assert "is the base of 'classification run'" in refusal(base)
    assert "The run is queued" in refusal(queued)
    assert child and "Make this the download" not in client.get(f"/runs/{base}").text
    assert client.post("/api/runs/aaaaaaaaaaaa/interpolate", json={"alpha": 0.5}).status_code == 404
