"""Edits over HTTP: from a keystroke to a version, what two tabs are told, and that no run misses them."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

Upload = Callable[..., dict[str, Any]]


def cell(row: int, value: str, before: str, column: str = "label") -> dict[str, Any]:
    return {"row": row, "column": column, "value": value, "before": before}


def test_from_a_keystroke_to_a_version(client: TestClient, upload: Upload) -> None:
    address = f"/api/datasets/{upload()['id']}"
    made = client.post(f"{address}/edits", json={"cells": [cell(1, "positive", "negative")], "expected": 1})
    assert made.status_code == 201 and made.json()["rows"][0]["saved"] == {"label": "negative"}
    client.post(f"{address}/edits", json={"add": [{"text": "one more", "label": ""}]})
    client.post(f"{address}/edits", json={"cells": [cell(-1, "positive", "")]})
    told = client.get(f"{address}/edits").json()
    assert (told["changes"], told["added"], [one["row_id"] for one in told["rows"]]) == (2, 1, [1, -1])
    assert client.get(f"{address}/edits?limit=1&offset=1").json()["rows"][0]["added"] is True

    rows = client.get(f"{address}/rows?offset=59&limit=9&edits=true").json()
    assert rows["rows"] == 61 and [one["row_id"] for one in rows["items"]] == [59, -1]
    assert client.get(f"{address}/rows?offset=1&limit=1").json()["items"][0]["cells"]["label"] == "negative"
    assert client.get(f"{address}/rows?edits=true&version=1").status_code == 409

    assert client.post(f"{address}/edits/undo").json()["rows"][0]["cells"]["label"] == ""
    assert client.post(f"{address}/edits/redo").json()["changes"] == 2
    saved = client.post(f"{address}/edits/save?expected=1")
    assert saved.status_code == 201 and saved.json()["step"]["title"] == "edit 1 row (1 in label), add 1 row"
    assert client.get(address).json()["rows"] == 61
    assert client.get(f"{address}/edits").json()["changes"] == 0
    assert client.post(f"{address}/edits/save").status_code == 409


def test_two_tabs(client: TestClient, upload: Upload) -> None:
    address = f"/api/datasets/{upload()['id']}/edits"
    client.post(address, json={"cells": [cell(1, "positive", "negative")]})
    late = client.post(address, json={"cells": [cell(1, "neutral", "negative")]})
    assert late.status_code == 409
    assert "has 'positive' in label by now, not 'negative'" in late.json()["error"]["message"]
    assert client.post(f"{address}/save?expected=2").status_code == 409
    assert client.delete(address).json()["changes"] == 0
    assert client.post(f"{address}/undo").json()["changes"] == 1


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], None),
        ({}, ""),
        ({"cells": [{"row": 1}]}, "cells.0.column"),
        ({"cells": [cell(1, "x", "y")], "step": 1}, "step"),
        ({"drop": [0], "expected": "one"}, "expected"),
        ({"add": [{"text": " "}]}, "add.0"),
    ],
)
def test_a_bad_change_is_told_its_field(
    client: TestClient, upload: Upload, body: Any, where: str | None
) -> None:
    answer = client.post(f"/api/datasets/{upload()['id']}/edits", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 422 and error["message"]
    assert where is None or error["problems"][0]["where"] == where


@pytest.mark.parametrize(
    ("body", "where"), [({"drop": [999]}, "row 999"), ({"add": [{"texte": "x"}]}, "texte")]
)
def test_a_row_or_column_that_is_not_there_is_a_conflict_as_for_steps(
    client: TestClient, upload: Upload, body: Any, where: str
) -> None:
    answer = client.post(f"/api/datasets/{upload()['id']}/edits", json=body)
    assert answer.status_code == 409 and answer.json()["error"]["problems"][0]["where"] == where


def test_no_run_misses_edits_in_silence(client: TestClient, upload: Upload) -> None:
    dataset = upload()["id"]
    spec = {"dataset": dataset, "task": "classification", "columns": {"text": "text", "label": "label"}}
    client.post(f"/api/datasets/{dataset}/edits", json={"cells": [cell(1, "positive", "negative")]})
    for address in ("/api/runs", "/api/runs/check"):
        answer = client.post(address, json=spec)
        assert answer.status_code == 422
        (problem,) = answer.json()["error"]["problems"]
        assert problem["where"] == "dataset" and "save or discard them first" in problem["message"]
    assert client.post("/api/runs/check", json={**spec, "dataset_version": 1}).status_code == 200
    client.post(f"/api/datasets/{dataset}/edits/save")
    assert client.post("/api/runs/check", json=spec).json()["spec"]["dataset_version"] == 2


def test_what_stands_in_the_way_is_told(client: TestClient, upload: Upload) -> None:
    address = f"/api/datasets/{upload()['id']}"
    client.post(f"{address}/edits", json={"drop": [3]})
    for path, body in (("steps", {"step": {"kind": "drop", "rows": [0]}}), ("undo", None), ("reread", {})):
        answer = client.post(f"{address}/{path}", json=body)
        assert answer.status_code == 409 and "not saved yet" in answer.json()["error"]["message"], path
    assert client.delete(address).status_code == 200


@pytest.mark.parametrize("what", ["", "/undo", "/redo", "/save"])
def test_an_unknown_data_set_is_404(client: TestClient, what: str) -> None:
    address = f"/api/datasets/abcdefghijkl/edits{what}"
    assert client.request("POST" if what else "GET", address).status_code == 404
