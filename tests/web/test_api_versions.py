"""Versions over HTTP: the step, its preview, undo and redo, and what a bad request is told."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

Upload = Callable[..., dict[str, Any]]


def test_a_step_its_preview_and_the_way_back(client: TestClient, upload: Upload) -> None:
    address = f"/api/datasets/{upload()['id']}"
    step = {"step": {"kind": "drop", "rows": [0, 1]}, "expected": 1}
    looked = client.post(f"{address}/steps?preview=true", json=step).json()
    assert looked == {
        "preview": True, "title": "drop 2 rows", "removed": 2, "changed": 0, "added": 0, "after": 58
    }  # fmt: skip
    made = client.post(f"{address}/steps", json=step)
    assert made.status_code == 201 and made.json()["version"] == 2
    assert client.get(address).json()["rows"] == 58
    assert client.post(f"{address}/undo").json() == {"version": 1}
    assert client.get(address).json()["rows"] == 60
    assert client.post(f"{address}/redo").json() == {"version": 2}
    told = client.get(f"{address}/versions").json()
    assert [(one["version"], one["current"], one["rows"]) for one in told] == [(1, False, 60), (2, True, 58)]
    again = client.post(f"{address}/steps", json=step)
    assert again.status_code == 409 and "at version 2 by now" in again.json()["error"]["message"]
    assert client.get(f"/data/{address.rsplit('/', 1)[1]}/original").status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], None),
        ({}, "kind"),
        ({"step": {"kind": "drop", "rows": "all"}}, "rows"),
        ({"step": {"kind": "drop", "rows": [0]}, "expected": "one"}, "expected"),
        ({"stop": 1}, "stop"),
        ({"step": {"kind": "drop", "rows": [True]}}, "rows.0"),
    ],
)
def test_a_bad_step_is_told_its_field(
    client: TestClient, upload: Upload, body: Any, where: str | None
) -> None:
    answer = client.post(f"/api/datasets/{upload()['id']}/steps", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 422 and error["message"]
    assert where is None or error["problems"][0]["where"] == where


def test_a_step_over_a_column_that_is_not_there_is_a_conflict(client: TestClient, upload: Upload) -> None:
    step = {"kind": "put", "rows": [0], "column": "lable", "value": "x"}
    answer = client.post(f"/api/datasets/{upload()['id']}/steps", json={"step": step})
    assert answer.status_code == 409 and answer.json()["error"]["problems"][0]["where"] == "lable"


@pytest.mark.parametrize("what", ["versions", "undo", "redo"])
def test_an_unknown_data_set_is_404(client: TestClient, what: str) -> None:
    ask = client.get if what == "versions" else client.post
    assert ask(f"/api/datasets/abcdefghijkl/{what}").status_code == 404
