"""JSON API: files that are predicted row by row."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

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
