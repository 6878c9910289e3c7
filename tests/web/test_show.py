"""What the page of a run says of its strategy."""

import re
from collections.abc import Callable

from fastapi.testclient import TestClient

from tests.web.conftest import Trainer
from tests.web.test_pages import page, words

Launch = Callable[..., str]


def head_of(client: TestClient, run_id: str) -> str:
    found = re.search(r'<div data-part="head".*?<div class="actions">', page(client, f"/runs/{run_id}"), re.S)
    assert found is not None
    return found[0]


def test_the_strategy_stands_in_words_from_the_start(client: TestClient, launch: Launch) -> None:
    partial = launch(strategy={"kind": "partial", "layers": 2, "layer_decay": 0.9})
    assert "MiniLM-L6 · last 2 of 6 blocks, layer decay 0.9" in words(head_of(client, partial))
    lora = launch(strategy={"kind": "lora"})
    assert "MiniLM-L6 · LoRA, rank 16, alpha 32" in words(head_of(client, lora))
    assert "in numbers" not in page(client, f"/runs/{lora}")


def test_a_head_that_is_fitted_has_a_page_without_epochs(client: TestClient, launch: Launch) -> None:
    run_id = launch(strategy={"kind": "head"})
    assert client.get(f"/api/runs/{run_id}").json()["spec"]["epochs"] is None
    assert "MiniLM-L6 · head" in words(head_of(client, run_id))
    assert 'data-chart="rate"' not in client.get(f"/runs/{run_id}").text


def test_how_many_numbers_learned_is_said_once_it_is_known(
    client: TestClient, launch: Launch, trainer: Callable[[str], Trainer]
) -> None:
    run_id = launch(strategy={"kind": "partial"})
    results = {"labels": [], "rows": 10, "trainable": 3_697_538, "parameters": 22_713_986}
    trainer(run_id).finish("succeeded", metrics={"accuracy": 0.9}, baselines={}, results=results)
    assert 'title="3.7 M of 22.7 M parameters learned"' in head_of(client, run_id)
    assert "3.7 M of 22.7 M parameters" in words(page(client, f"/runs/{run_id}"))
