"""JSON API: runs."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts
from app.models.families import tasks_for
from app.web.services import Services
from tests.web.conftest import RecordingQueue, Trainer

Launch = Callable[..., str]
Train = Callable[[str], Trainer]
COLUMNS = {"text": "text", "label": "label"}


def test_a_run_is_queued_and_a_worker_woken(
    client: TestClient, queue: RecordingQueue, launch: Launch
) -> None:
    run_id = launch()
    assert queue.woken == [run_id]
    view = client.get(f"/api/runs/{run_id}").json()
    assert view["state"] == "queued" and view["dataset_name"] == "reviews.csv"
    assert view["checkpoint"] is None
    assert view["spec"]["epochs"] and view["spec"]["learning_rate"] and view["spec"]["batch_size"]


def test_every_problem_of_a_spec_is_reported_at_once(client: TestClient, upload: Any) -> None:
    spec = {
        "dataset": upload()["id"],
        "task": "classification",
        "columns": {"text": "txt", "label": "label"},
        "epochs": 0,
        "learning_rat": 1e-4,
        "model": "gpt4",
    }
    response = client.post("/api/runs", json=spec)
    assert response.status_code == 422
    wheres = {problem["where"] for problem in response.json()["error"]["problems"]}
    assert {"epochs", "learning_rat", "model"} <= wheres
    assert client.get("/api/runs").json() == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"dataset": "zzzzzzzzzzzz"}, "dataset"),
        ({"dataset": "../../etc"}, "dataset"),
        ({"task": "poetry"}, "task"),
        ({"model": "local:../../etc"}, "model"),
        ({"max_length": 100_000}, "max_length"),
        ({"seed": -1}, "seed"),
        ({"split": {"kind": "column", "column": "nope"}}, "split"),
    ],
)
def test_a_bad_field_is_named(client: TestClient, upload: Any, change: dict[str, Any], where: str) -> None:
    spec = {"dataset": upload()["id"], "task": "classification", "columns": COLUMNS, **change}
    response = client.post("/api/runs", json=spec)
    assert response.status_code in (404, 422)
    error = response.json()["error"]
    assert where in str(error)


def test_check_tells_what_would_happen_and_starts_nothing(
    client: TestClient, queue: RecordingQueue, upload: Any
) -> None:
    spec = {"dataset": upload()["id"], "task": "classification", "columns": COLUMNS, "epochs": 2}
    told = client.post("/api/runs/check", json=spec).json()
    assert sum(told["rows"].values()) == 60
    assert told["classes"] == 2 and told["steps"] >= 2
    assert told["spec"]["epochs"] == 2 and "epochs" not in told["why"]
    assert told["why"]["learning_rate"]
    assert queue.woken == [] and client.get("/api/runs").json() == []


def test_the_list_is_newest_first_and_without_results(
    client: TestClient, launch: Launch, trainer: Train
) -> None:
    first = launch()
    trainer(first).succeed()
    second = launch(name="second")
    listed = client.get("/api/runs").json()
    assert [view["id"] for view in listed] == [second, first]
    assert "results" not in listed[1] and listed[1]["metrics"]["accuracy"] == 0.9


def test_points_are_whole_thinned_or_empty(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    losses = [0.5] * 1000
    losses[700] = 8.0
    trainer(run_id).record(losses)
    whole = client.get(f"/api/runs/{run_id}/points").json()
    assert set(whole) == {"train/loss", "validation/loss", "validation/accuracy", "validation/macro_f1"}
    assert len(whole["train/loss"]["step"]) == 1000
    names = "train/loss,unknown/series"
    response = client.get(f"/api/runs/{run_id}/points", params={"series": names, "max": 50})
    assert len(response.json()["train/loss"]["value"]) <= 50
    assert 8.0 in response.json()["train/loss"]["value"]
    assert response.json()["unknown/series"] == {"step": [], "value": [], "time": []}
    seq = client.get(f"/api/runs/{run_id}").json()["seq"]
    assert response.headers["headstart-seq"] == str(seq)


def test_nan_is_null(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    trainer(run_id).record([0.5, float("nan"), float("inf")])
    points = client.get(f"/api/runs/{run_id}/points?series=train/loss").json()["train/loss"]
    assert points["value"] == [0.5, None, None]


def test_cancel_is_repeatable_and_ends_with_the_run(
    client: TestClient, launch: Launch, trainer: Train
) -> None:
    queued, running, done = launch(), launch(), launch()
    assert client.post(f"/api/runs/{queued}/cancel").json()["state"] == "cancelled"
    assert client.post(f"/api/runs/{queued}/cancel").status_code == 200
    trainer(running)
    assert client.post(f"/api/runs/{running}/cancel").json()["cancel_requested"] is True
    assert client.post(f"/api/runs/{running}/cancel").json()["state"] == "running"
    trainer(done).succeed()
    response = client.post(f"/api/runs/{done}/cancel")
    assert response.status_code == 409 and response.json()["error"]["kind"] == "conflict"


def test_pause_and_resume_are_repeatable_and_refused_in_the_wrong_state(
    client: TestClient, services: Services, launch: Launch, trainer: Train, queue: RecordingQueue
) -> None:
    queued, running, done = launch(), launch(), launch()
    assert client.post(f"/api/runs/{queued}/resume").status_code == 409
    assert client.post(f"/api/runs/{queued}/pause").json()["state"] == "paused"
    assert client.post(f"/api/runs/{queued}/pause").json()["state"] == "paused"
    queue.woken.clear()
    assert client.post(f"/api/runs/{queued}/resume").json()["state"] == "queued"
    assert queue.woken == [queued]
    working = trainer(running)
    assert client.post(f"/api/runs/{running}/pause").json()["pause_requested"] is True
    assert ">pausing<" in client.get(f"/runs/{running}").text
    with services.database.write() as session:
        attempts.pause(session, running, working.attempt, services.clock())
    page = client.get(f"/runs/{running}").text
    assert f'action="/runs/{running}/resume"' in page and "paused before its first step" in page
    assert ">paused" in client.get("/").text
    assert client.post(f"/runs/{running}/resume", follow_redirects=False).status_code == 303
    assert client.get(f"/api/runs/{running}").json()["state"] == "queued"
    trainer(done).succeed()
    for move in ("pause", "resume"):
        response = client.post(f"/api/runs/{done}/{move}")
        assert response.status_code == 409 and response.json()["error"]["kind"] == "conflict"


def test_a_paused_run_can_be_cancelled(client: TestClient, launch: Launch) -> None:
    run_id = launch()
    client.post(f"/api/runs/{run_id}/pause")
    assert client.post(f"/api/runs/{run_id}/cancel").json()["state"] == "cancelled"


def test_delete_takes_the_files_along_but_only_of_a_run_that_is_over(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    assert client.delete(f"/api/runs/{run_id}").status_code == 409
    trainer(run_id).succeed()
    there = sum(path.stat().st_size for path in services.files.run(run_id).rglob("*") if path.is_file())
    assert client.delete(f"/api/runs/{run_id}").json()["freed_bytes"] == there > 258
    assert not services.files.run(run_id).exists()
    assert client.get(f"/api/runs/{run_id}").status_code == 404


def test_the_log_is_text_with_what_the_processes_printed(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    trainer(run_id).record([0.5])
    printed = services.files.attempt(run_id, 1) / "log.txt"
    printed.parent.mkdir(parents=True)
    printed.write_bytes(b"a line \xff of the process\n")
    response = client.get(f"/api/runs/{run_id}/log")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert "reached step 1" in response.text and "of the process" in response.text


def test_the_checkpoint_comes_whole_or_in_ranges(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    address = f"/api/runs/{run_id}/checkpoint.zip"
    assert client.get(address).status_code == 409
    trainer(run_id).succeed()
    assert client.get(f"/api/runs/{run_id}").json()["checkpoint"] == address
    whole = client.get(address)
    assert whole.headers["content-type"] == "application/zip" and whole.headers["accept-ranges"] == "bytes"
    assert "attachment" in whole.headers["content-disposition"]
    assert len(whole.content) == 258
    rest = client.get(address, headers={"range": "bytes=100-", "if-range": whole.headers["etag"]})
    assert rest.status_code == 206 and rest.content == whole.content[100:]
    changed = client.get(address, headers={"range": "bytes=100-", "if-range": '"another"'})
    assert changed.status_code == 200 and changed.content == whole.content
    assert client.get(address, headers={"range": "bytes=9999-"}).status_code == 416
    head = client.head(address)
    assert head.status_code == 200 and head.headers["content-length"] == "258"


def test_only_a_run_with_lora_has_an_adapter_to_download(
    client: TestClient, launch: Launch, trainer: Train, services: Services
) -> None:
    plain = launch()
    trainer(plain).succeed()
    refused = client.get(f"/api/runs/{plain}/adapter.zip")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (404, "not_found")
    assert "strategy lora" in refused.json()["error"]["message"]

    lora = launch(strategy={"kind": "lora", "rank": 4})
    address = f"/api/runs/{lora}/adapter.zip"
    assert client.get(address).status_code == 409
    trainer(lora).succeed()
    assert client.get(address).status_code == 404
    services.files.adapter_zip(lora).write_bytes(b"PK")
    assert client.get(address).content == b"PK"
    assert client.get(f"/api/runs/{lora}").json()["adapter"] == address
    assert f'href="{address}"' in client.get(f"/runs/{lora}").text


def test_a_cancelled_run_offers_its_best_checkpoint_if_it_has_one(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    trainer(run_id).finish("cancelled")
    assert client.get(f"/api/runs/{run_id}/checkpoint.zip").status_code == 409
    services.files.run(run_id).mkdir(parents=True)
    services.files.checkpoint_zip(run_id).write_bytes(b"PK")
    assert client.get(f"/api/runs/{run_id}/checkpoint.zip").content == b"PK"


def test_predict_answers_in_the_order_of_the_inputs(
    client: TestClient, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    address = f"/api/runs/{run_id}/predict"
    assert client.post(address, json={"inputs": ["a"]}).status_code == 409
    trainer(run_id).succeed()
    outputs = client.post(address, json={"inputs": ["a", "bb", "ccc"]}).json()["outputs"]
    assert [output["length"] for output in outputs] == [1, 2, 3]
    assert client.post(address, json={"inputs": []}).json() == {"outputs": []}
    assert len(client.post(address, json={"inputs": ["x"] * 1000}).json()["outputs"]) == 1000
    assert client.post(address, json={"inputs": ["x"] * 1001}).status_code == 413


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"inputs": "text"}, {"inputs": [1]}, {"inputs": ["a"], "more": 1}, {"inputs": [None]}],
)
def test_a_bad_predict_body_is_422(client: TestClient, launch: Launch, trainer: Train, body: Any) -> None:
    run_id = launch()
    trainer(run_id).succeed()
    assert client.post(f"/api/runs/{run_id}/predict", json=body).status_code == 422


def test_a_run_without_a_model_can_not_be_tried(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    trainer(run_id).finish("failed", error={"kind": "bug", "message": "no", "problems": []})
    assert client.post(f"/api/runs/{run_id}/predict", json={"inputs": ["a"]}).status_code == 409


def test_models_on_offer_begin_with_the_starter(client: TestClient) -> None:
    models = client.get("/api/models").json()
    assert models[0]["id"] == "starter" and models[0]["tasks"] == tasks_for("bert")
    assert {"family", "parameters", "kind", "max_length", "note"} <= set(models[0])


def test_a_cancelled_run_is_tried_again_and_wakes_a_worker(
    client: TestClient, queue: RecordingQueue, launch: Launch
) -> None:
    run_id = launch()
    assert client.post(f"/api/runs/{run_id}/retry").status_code == 409
    client.post(f"/api/runs/{run_id}/cancel")
    view = client.post(f"/api/runs/{run_id}/retry").json()
    assert (view["state"], view["checkpoint_step"], view["place"]) == ("queued", 0, 0)
    assert queue.woken == [run_id, run_id]


def test_a_clone_repeats_the_run_but_for_what_the_body_says(client: TestClient, launch: Launch) -> None:
    run_id = launch(name="Reviews", epochs=4)
    made = client.post(f"/api/runs/{run_id}/clone", json={"seed": 9})
    assert made.status_code == 201
    spec = client.get(f"/api/runs/{made.json()['id']}").json()["spec"]
    assert (spec["name"], spec["seed"], spec["epochs"]) == ("Reviews (2)", 9, 4)
    wrong = client.post(f"/api/runs/{run_id}/clone", json={"seeed": 9})
    assert wrong.status_code == 422 and "seeed" in wrong.text
    assert client.post(f"/api/runs/{run_id}/clone", json=[1]).status_code == 422


def test_a_queued_run_moves_and_says_behind_whom_it_stands(client: TestClient, launch: Launch) -> None:
    first, second = launch(name="one"), launch(name="two")
    view = client.get(f"/api/runs/{second}").json()
    assert (view["place"], view["behind"]) == (1, "one")
    assert client.post(f"/api/runs/{second}/move", json={"to": "first"}).json()["place"] == 0
    assert client.post(f"/api/runs/{first}/move", json={"priority": 5}).json()["place"] == 0
    for wrong in (
        {"to": "sideways"},
        {"priority": 1.5},
        {"priority": True},
        {},
        {"to": "up", "priority": 1},
        [1],
    ):
        assert client.post(f"/api/runs/{first}/move", json=wrong).status_code == 422
    client.post(f"/api/runs/{first}/cancel")
    assert client.post(f"/api/runs/{first}/move", json={"to": "first"}).status_code == 409
