"""Several files in one form: one data set whose runs keep to its parts."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.conftest import CSV

Files = list[tuple[str, tuple[str, str]]]


def post(client: TestClient, *files: tuple[str, str, str]) -> Any:
    sent: Files = [(field, (name, content)) for field, name, content in files]
    return client.post("/api/datasets/files", files=sent)


def test_train_and_test_are_one_data_set(client: TestClient) -> None:
    answer = post(client, ("test", "b.csv", CSV), ("train", "reviews.csv", CSV))
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["state"], view["rows"], view["columns"]) == ("ready", 120, ["text", "label", "split"])
    assert view["name"] == "reviews.csv + b.csv.zip"
    assert [(file["name"], file["part"]) for file in view["options"]["files"]] == [
        ("reviews.csv", "train"),
        ("b.csv", "test"),
    ]


def test_files_are_told_apart_by_name_and_the_page_takes_them_too(client: TestClient) -> None:
    files: Files = [("file", ("dev.csv", CSV)), ("file", ("x-train.csv", CSV)), ("file", ("test.csv", CSV))]
    answer = client.post("/data", files=files, follow_redirects=False)
    assert answer.status_code == 303
    view = client.get("/api" + answer.headers["location"].replace("/data/", "/datasets/")).json()
    assert [file["part"] for file in view["options"]["files"]] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("train.csv", "more.csv"), "Is 'more.csv' for training, validation or testing?"),
        (("train.csv", "training.csv"), "Both 'train.csv' and 'training.csv' are for train"),
        (("dev.csv", "test.csv"), "one of them is missing"),
    ],
)
def test_files_that_are_not_told_apart_are_refused(
    client: TestClient, names: tuple[str, str], says: str
) -> None:
    answer = post(client, *(("file", name, CSV) for name in names))
    assert answer.status_code == 422 and says in answer.json()["error"]["message"]
    assert client.get("/api/datasets").json() == []


def test_more_files_than_parts_are_refused(client: TestClient) -> None:
    answer = post(client, *(("file", f"{number}.csv", CSV) for number in range(4)))
    assert answer.status_code < 500 and answer.json()["error"]["message"]


def test_a_run_keeps_to_the_files_unless_it_says_otherwise(
    client: TestClient, upload: Callable[..., dict[str, Any]]
) -> None:
    view = post(client, ("train", "a.csv", CSV), ("test", "b.csv", CSV)).json()
    spec = {"dataset": view["id"], "task": "classification", "columns": {"text": "text", "label": "label"}}
    run = client.post("/api/runs", json=spec).json()
    assert client.get(f"/api/runs/{run['id']}").json()["spec"]["split"] == {"kind": "files"}
    run = client.post("/api/runs", json={**spec, "split": {"kind": "random"}}).json()
    assert client.get(f"/api/runs/{run['id']}").json()["spec"]["split"]["kind"] == "random"
    refused = client.post("/api/runs", json={**spec, "dataset": upload()["id"], "split": {"kind": "files"}})
    assert (
        refused.status_code == 422 and "did not come as several files" in refused.json()["error"]["message"]
    )


def test_the_form_of_a_run_offers_the_files_where_there_are_some(
    client: TestClient, upload: Callable[..., dict[str, Any]]
) -> None:
    view = post(client, ("train", "a.csv", CSV), ("test", "b.csv", CSV)).json()
    assert '<option value="files" selected>' in client.get(f"/runs/new?dataset={view['id']}").text
    assert '<option value="files"' not in client.get(f"/runs/new?dataset={upload()['id']}").text
