"""Findings over HTTP, by the real process: the list, the rows, the fix with its preview, marks, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.datasets.doctor.conftest import labelled
from tests.waiting import until
from tests.web.conftest import CSV

pytestmark = pytest.mark.slow
Upload = Callable[..., dict[str, Any]]
ROWS = labelled(60)
# Three copies, a contradiction, an empty text.
MESSY = "text,label\n" + "".join(
    f"{text},{label}\n"
    for text, label in [
        *ROWS,
        [ROWS[0][0].upper(), ROWS[0][1]],
        ROWS[1],
        ROWS[2],
        [ROWS[3][0], "neg"],
        ["", "pos"],
    ]
)


def findings(client: TestClient, dataset_id: str, query: str = "") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get(f"/api/datasets/{dataset_id}/findings{query}").json()
        return found if found["state"] in ("done", "failed") else None

    told = until(look, "the examination")
    assert told["state"] == "done", told
    return told


def test_findings_their_rows_a_fix_and_the_way_back(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY)["id"]
    address = f"/api/datasets/{dataset_id}"
    told = findings(client, dataset_id)
    assert told["columns"] == {"text": ["text"], "label": "label", "part": None}
    assert [(one["id"], one["severity"], one["count"]) for one in told["findings"]][:3] == [
        ("conflicts", "error", 2),
        ("duplicates", "warning", 3),
        ("missing-1", "warning", 1),
    ]
    assert told["lengths"]["model"] == "starter" and told["lengths"]["costs"][-1]["cut"] == 0

    rows = client.get(
        f"{address}/findings/duplicates/rows", params={"limit": 2, "q": ROWS[1][0][3:40].upper()}
    ).json()
    assert rows["total"] == 2
    assert [(one["line"], one["role"]) for one in rows["items"]] == [(3, "first"), (63, "copy")]

    fix = {"finding": "duplicates", "fix": "keep-first"}
    looked = client.post(f"{address}/fixes?preview=true", json=fix).json()
    assert (looked["removed"], looked["after"]) == (3, 62)
    made = client.post(f"{address}/fixes", json={**fix, "expected": 1})
    assert made.status_code == 201 and made.json()["step"]["finding"] == "duplicates"
    again = findings(client, dataset_id)
    assert again["version"] == 2 and "duplicates" not in {one["id"] for one in again["findings"]}

    marked = client.post(f"{address}/findings/missing-1/mark", json={})
    assert marked.json() == {"finding": "missing-1", "marked": True}
    assert findings(client, dataset_id)["findings"][-1]["id"] == "missing-1"
    assert client.post(f"{address}/undo").json() == {"version": 1}
    assert findings(client, dataset_id)["findings"][-1]["id"] == "missing-1"  # the same rows: still looked at

    for body, status, message in (
        ({"finding": "leaks", "fix": "move"}, 404, "no finding 'leaks'"),
        ({"finding": "duplicates", "fix": "explode"}, 404, "no fix 'explode'"),
        ({"finding": "duplicates"}, 422, "fix: is required"),
        ({**fix, "expected": 2}, 409, "at version 1 by now, not at 2"),
        ({**fix, "more": 1}, 422, "no field 'more'"),
    ):
        answer = client.post(f"{address}/fixes", json=body)
        assert answer.status_code == status and message in answer.json()["error"]["message"], answer.text
    assert client.post(f"{address}/findings/missing-1/mark", json={"marked": "yes"}).status_code == 422


def test_other_columns_are_another_question(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY)["id"]
    told = findings(client, dataset_id, "?text=text&label=")
    assert told["columns"]["label"] is None
    assert "conflicts" not in {one["id"] for one in told["findings"]}
    answer = client.get(f"/api/datasets/{dataset_id}/findings?text=txt")
    assert answer.status_code == 404 and "there are: text, label" in answer.json()["error"]["message"]


def test_a_data_set_that_is_deleted_meanwhile_leaves_nothing(client: TestClient, upload: Upload) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    view = upload(CSV * 50)
    client.get(f"/data/{view['id']}")  # begins the examination and does not wait
    assert client.delete(f"/api/datasets/{view['id']}").status_code == 200
    other = upload(MESSY)
    findings(client, other["id"])  # one after the other: the first is over
    assert not services.files.dataset(view["id"]).exists()
    assert client.get(f"/api/datasets/{view['id']}/findings").status_code == 404


def test_what_could_not_be_read_is_not_examined(client: TestClient, upload: Upload) -> None:
    view = upload(b"\x00\x01\x02binary")
    assert view["state"] == "failed"
    answer = client.get(f"/api/datasets/{view['id']}/findings")
    assert answer.status_code == 409 and "could not be read" in answer.json()["error"]["message"]


def test_a_process_that_fails_is_a_sentence_and_can_be_tried_again(
    client: TestClient, upload: Upload
) -> None:
    services = client.app.state.services  # type: ignore[attr-defined]
    view = upload(MESSY)
    rows = services.files.version(view["id"], 1) / "rows.parquet"
    content = rows.read_bytes()
    rows.write_bytes(b"PAR1 and nothing else")
    address = f"/api/datasets/{view['id']}/findings"
    failed = until(
        lambda: found if (found := client.get(address).json())["state"] == "failed" else None, "the failure"
    )
    assert "ended with code 1" in failed["error"]
    assert client.get(f"{address}/duplicates/rows").status_code == 503
    rows.write_bytes(content)
    client.get(f"{address}?again=true")
    assert findings(client, view["id"])["findings"]
