"""JSON API: files that are predicted row by row."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import file_predictions
from app.core.errors import Invalid, Problem
from app.web.services import Services
from tests.web.conftest import Trainer


@pytest.fixture
def files(launch: Callable[..., str], trainer: Callable[[str], Trainer]) -> str:
    """The address of the files of a finished run."""
    run_id = launch()
    trainer(run_id).succeed()
    return f"/api/runs/{run_id}/files"


def cancelled(client: TestClient, files: str, **columns: str) -> Any:
    made = client.put(files, params={"name": "a.csv", **columns}, content=b"comment,other\nfine,x\n").json()
    return client.post(f"{files}/{made['id']}/cancel").json()


def test_a_file_tried_again_keeps_the_columns_that_are_not_named(client: TestClient, files: str) -> None:
    file = cancelled(client, files, text="comment")
    again = client.post(f"{files}/{file['id']}/retry", json={"columns": {}}).json()

    assert (again["state"], again["columns"]) == ("queued", {"text": "comment"})


def test_a_file_tried_again_takes_another_column(client: TestClient, files: str) -> None:
    file = cancelled(client, files, text="comment")
    again = client.post(f"{files}/{file['id']}/retry", json={"columns": {"text": "other"}}).json()

    assert again["columns"] == {"text": "other"}


def test_columns_that_can_be_none_are_refused_before_the_file_is_kept(client: TestClient, files: str) -> None:
    refused = client.put(files, params={"name": "a.csv", "text": "c" * 1001}, content=b"text\nfine\n")
    file = cancelled(client, files)
    again = client.post(f"{files}/{file['id']}/retry", json={"column": {"text": "other"}})

    assert "has 1,001 characters" in refused.json()["error"]["message"]
    assert (refused.status_code, again.status_code) == (422, 422)
    assert [one["id"] for one in client.get(files).json()] == [file["id"]]


def test_the_page_says_what_is_wrong_with_a_file_without_the_words_of_the_api(
    client: TestClient, files: str, services: Services
) -> None:
    file = client.put(files, params={"name": "a.csv"}, content=b"comment\nfine\n").json()
    problem: Problem = {
        "where": "columns.text",
        "message": "there is no column 'text'; the file has 'comment'",
    }
    with services.database.write() as session:
        _, attempt = file_predictions.claim(session, 1.0) or (None, 0)
        error = Invalid.from_problems("The file can't be predicted", [problem]).as_dict()
        file_predictions.finish(session, file["id"], attempt, "failed", 2.0, error)
    page = client.get(files.removeprefix("/api")).text

    assert "There is no column &#39;text&#39;; the file has &#39;comment&#39;" in page
    assert "columns.text" not in page
    assert "column of text <input" in page
