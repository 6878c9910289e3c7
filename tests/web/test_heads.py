"""The heads of one run beside each other on its page."""

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from app.web.heads import heads_table
from app.web.services import Services
from tests.web.gallery import finished
from tests.web.test_pages import page, words

Upload = Callable[..., dict[str, Any]]
FIRST, MEAN = {"accuracy": 0.74, "macro_f1": 0.73}, {"accuracy": 0.78, "macro_f1": 0.77}


def test_what_a_head_on_the_mean_reaches_stands_beside(
    client: TestClient, services: Services, upload: Upload
) -> None:
    results = {
        "poolings": {"the first token": FIRST, "the mean of the tokens": MEAN},
        "notes": ["The head reads the first token."],
    }
    run_id = finished(services, "classification", upload()["id"], results=results)
    said = words(page(client, f"/runs/{run_id}"))
    assert "By what the head reads" in said and "the mean of the tokens" in said and "0.780" in said
    assert "The head reads the first token." in said


def test_the_better_of_two_heads_is_marked() -> None:
    view = {"task": "classification", "metrics": FIRST, "baselines": {}}
    table = heads_table(view, {"poolings": {"the first token": FIRST, "the mean of the tokens": MEAN}})
    assert table is not None
    assert [cell["best"] for cell in table["rows"][0]["cells"]] == [False, True]


def test_the_head_alone_stands_before_the_run(client: TestClient, services: Services, upload: Upload) -> None:
    results = {"head_first": {"metrics": FIRST, "iterations": 30, "seconds": 1.0}}
    run_id = finished(services, "classification", upload()["id"], results=results)
    said = words(page(client, f"/runs/{run_id}"))
    assert "Before the rest learned" in said and "the head alone" in said and "0.740" in said


def test_a_run_with_one_head_has_no_such_table() -> None:
    view = {"task": "classification", "metrics": FIRST, "baselines": {}}
    assert heads_table(view, {}) is None
    assert heads_table(view, {"head_first": None, "poolings": {}}) is None
