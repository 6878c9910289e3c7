"""The results of a run of every task, its base and its children, and what it writes while it learns."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts, events
from app.core.attempts import Batch
from app.tasks import TASKS
from app.tasks.base import Task
from app.web.services import Services
from tests.web.gallery import finished
from tests.web.test_charts import walk
from tests.web.test_pages import Launch, Train, page, words

Upload = Callable[..., dict[str, Any]]
SEEN = {
    "classification": ["Confusion, 280", "Reliability", "(ECE)", "37 of 60 rows lose text at max_length 128"],
    "pair": ["Confusion, 280", "TF-IDF of both with logistic regression is better on these rows by 0.005"],
    "multilabel": ["F1 of each label", "threshold", "held-out micro F1 0.802"],
    "score": ["Predicted against true", "held-out RMSE 0.512", "RMSE and Pearson correlation, validation"],
    "tagging": ["Entities in the worst texts", "missed", "F1 of each label", "held-out entity F1 0.789"],
    "text2text": ["Source, reference and output, the worst first", "tok:13a", "max new tokens 64", "31.4"],
    "generation": [
        "Prompt, reference and output",
        "Loss of the completions, before and after",
        "−64.4 %",
        "step 90",
    ],
    "adaptation": [
        "Perplexity, before and after",
        "35.2",
        "from 35.20 to 21.43",
        "dashed: before the training",
    ],
}


@pytest.mark.parametrize("task", SEEN)
def test_each_task_has_its_pictures(
    client: TestClient, services: Services, upload: Upload, task: str
) -> None:
    run_id = finished(services, task, upload()["id"])
    text = page(client, f"/runs/{run_id}")
    for one in SEEN[task]:
        assert one in words(text)
    told = client.get(f"/runs/{run_id}/parts").json()["parts"]
    assert all(part in text for part in told.values())
    assert words(page(client, "/")).count(f"{task} run") == 1


@pytest.mark.parametrize("task", SEEN)
def test_each_task_has_its_curves(client: TestClient, task: str) -> None:
    from app.tasks import TASKS

    figures = client.get("/charts.json", params={"task": task}).json()
    names = {
        node["attributes"]["name"]
        for node in walk(figures["score"])
        if node.get("name") == "ColumnDataSource" and "attributes" in node
    }
    assert {f"validation/{metric.name}" for metric in TASKS[task].curves} <= names


def test_curves_of_another_unit_have_their_own_axis(client: TestClient) -> None:
    mixed = client.get("/charts.json", params={"task": "score"}).text
    assert "Pearson correlation (right)" in mixed
    assert "(right)" not in client.get("/charts.json", params={"task": "tagging"}).text


def test_what_a_note_tells_is_not_told_twice(client: TestClient, services: Services, upload: Upload) -> None:
    results = {"rows": 280, "truncated": 37, "notes": ["37 of 400 texts are longer than 128 tokens."]}
    run_id = finished(services, "classification", upload()["id"], results=results)
    text = page(client, f"/runs/{run_id}")
    assert "37 of 400 texts" in text and "lose text" not in text


@pytest.fixture
def registry() -> Iterator[dict[str, Task]]:
    """The tasks, put back in their order: what is deleted and set again would stand last."""
    before = dict(TASKS)
    yield TASKS
    TASKS.clear()
    TASKS.update(before)


def test_a_task_without_metadata_still_has_charts_and_a_page(
    client: TestClient, services: Services, upload: Upload, registry: dict[str, Task]
) -> None:
    run_id = finished(services, "score", upload()["id"])
    del registry["score"]
    found = page(client, f"/runs/{run_id}")
    assert "rmse" in found and 'data-chart="score"' not in found and 'data-task=""' in found
    assert set(client.get("/charts.json?task=").json()) == {"loss", "loss_log", "rate"}


def test_the_chain_leads_back_to_the_first_model(
    client: TestClient, services: Services, upload: Upload
) -> None:
    dataset = upload()["id"]
    first = finished(services, "adaptation", dataset)
    second = finished(services, "classification", dataset, parent=first)
    third = finished(services, "classification", dataset, parent=second)
    seen = words(page(client, f"/runs/{third}"))
    assert "MiniLM-L6 adaptation: adaptation run classification: classification run this run" in seen
    text = page(client, f"/runs/{first}")
    assert (
        "The base of" in words(text)
        and f'href="/runs/{second}"' in text
        and f'href="/runs/{third}"' not in text
    )
    assert f'href="/runs/new?model=run:{first}"' in text
    assert "adaptation run · full" in words(page(client, "/"))


def test_a_base_in_use_says_so_in_place_of_the_question(
    client: TestClient, services: Services, upload: Upload
) -> None:
    dataset = upload()["id"]
    base = finished(services, "adaptation", dataset)
    child = finished(services, "classification", dataset, parent=base)
    text = page(client, f"/runs/{base}")
    assert "is the base of classification run : delete that run first" in words(text)
    assert f'action="/runs/{base}/delete"' not in text
    refused = client.post(f"/runs/{base}/delete", headers={"accept": "text/html"})
    assert refused.status_code == 409 and "delete that run first" in refused.text
    client.post(f"/runs/{child}/delete")
    assert f'action="/runs/{base}/delete"' in page(client, f"/runs/{base}")


def test_a_run_without_a_model_is_no_base(client: TestClient, launch: Launch) -> None:
    run_id = launch()
    client.post(f"/runs/{run_id}/cancel")
    assert "Use as base" not in page(client, f"/runs/{run_id}")


def write(services: Services, run_id: str, attempt: int, *steps: int) -> None:
    samples = [
        (
            5.0,
            {
                "step": step,
                "epoch": step / 10,
                "items": [{"prompt": "p", "text": f"wrote {step}", "reference": "r"}],
            },
        )
        for step in steps
    ]
    with services.database.write() as session:
        attempts.record(session, run_id, attempt, Batch(samples=samples), services.clock())


def test_samples_appear_while_it_learns_the_newest_first(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    training = trainer(run_id)
    write(services, run_id, training.attempt, 10, 20)
    seen = words(page(client, f"/runs/{run_id}"))
    assert "Samples over the epochs" in seen and seen.index("wrote 20") < seen.index("wrote 10")
    assert "appear here when the run ends" in seen
    told = client.get(f"/live/poll?watch={run_id}:0").json()["events"]
    assert [event["data"]["step"] for event in told if event["kind"] == "sample"] == [10, 20]


def test_samples_behind_a_step_to_which_the_run_went_back_are_gone(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    training = trainer(run_id)
    write(services, run_id, training.attempt, 10, 20)
    with services.database.write() as session:
        events.rewind(session, run_id, 10, 6.0)
    seen = words(page(client, f"/runs/{run_id}"))
    assert "wrote 10" in seen and "wrote 20" not in seen
