"""JSON API: data sets."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.files import Files
from app.web.services import Services
from tests.web.conftest import CSV, HOSTILE

Upload = Callable[..., dict[str, Any]]


def test_a_small_file_comes_back_read(upload: Upload) -> None:
    view = upload()
    assert (view["name"], view["state"], view["rows"]) == ("reviews.csv", "ready", 60)
    assert view["columns"] == ["text", "label"]
    assert (view["profile"]["text"], view["profile"]["label"]) == ("text", "label")


def test_the_list_is_newest_first_and_without_profiles(client: TestClient, upload: Upload) -> None:
    ids = [upload(name=name)["id"] for name in ("one.csv", "two.csv")]
    listed = client.get("/api/datasets").json()
    assert [view["id"] for view in listed] == ids[::-1]
    assert "profile" not in listed[0]


def test_names_are_labels_and_never_paths(client: TestClient, services: Services, upload: Upload) -> None:
    view = upload(name="../../../etc/passwd")
    assert view["name"] == "../../../etc/passwd"
    folders = [path.name for path in (services.files.root / "datasets").iterdir()]
    assert folders == [view["id"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text,label\n", "row"),
        (b"text,label\na,b\nc,d,e\n", "line 3"),
        (b"\x00\x01\x02\xff" * 500, ""),
        (b'text,label\n"open,a\nb,c\n', "line 2"),
    ],
)
def test_a_bad_file_is_kept_with_a_sentence(upload: Upload, content: bytes, said: str) -> None:
    view = upload(content, "bad.csv")
    assert view["state"] == "failed"
    assert said in view["error"]["message"].lower()
    assert view["problems"]


@pytest.mark.parametrize("name", ["", "   "])
def test_a_name_is_required(client: TestClient, name: str) -> None:
    response = client.put("/api/datasets", params={"name": name}, content=CSV)
    assert response.status_code == 422


def test_an_empty_file_is_refused_and_leaves_nothing(client: TestClient) -> None:
    response = client.put("/api/datasets", params={"name": "empty.csv"}, content=b"")
    assert response.status_code == 422
    assert "empty" in response.json()["error"]["message"]
    assert client.get("/api/datasets").json() == []


def test_too_little_disk_is_507(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "free_bytes", lambda self: 0)
    response = client.put("/api/datasets", params={"name": "a.csv"}, content=CSV)
    assert response.status_code == 507
    assert response.json()["error"]["kind"] == "disk"


def test_the_sample_is_one_request_away(client: TestClient) -> None:
    view = client.post("/api/datasets/sample").json()
    assert view["state"] == "ready" and view["rows"] > 300


def test_rows_come_in_windows_with_their_lines(client: TestClient, upload: Upload) -> None:
    dataset_id = upload()["id"]
    page = client.get(f"/api/datasets/{dataset_id}/rows", params={"offset": 58, "limit": 10}).json()
    assert page["rows"] == 60 and page["columns"] == ["text", "label"]
    assert [item["row_id"] for item in page["items"]] == [58, 59]
    assert page["items"][0]["line"] == 60
    assert page["items"][0]["cells"]["label"] == "positive"


@pytest.mark.parametrize("query", ["offset=-1", "limit=1001", "limit=x", "version=0", "offset=" + "9" * 30])
def test_a_bad_window_is_422(client: TestClient, upload: Upload, query: str) -> None:
    assert client.get(f"/api/datasets/{upload()['id']}/rows?{query}").status_code == 422


def test_rows_of_a_failed_file_are_409(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(b"text,label\n")["id"]
    assert client.get(f"/api/datasets/{dataset_id}/rows").status_code == 409


def test_reading_again_with_other_options_mends_a_failed_file(client: TestClient, upload: Upload) -> None:
    view = upload(b"text,label\ngood,a\nbad,b,c\nfine,b\n")
    assert view["state"] == "failed"
    again = client.post(f"/api/datasets/{view['id']}/reread", json={"skip_ragged": True})
    assert again.status_code == 200
    assert again.json()["state"] == "ready" and again.json()["rows"] == 2


def test_every_bad_option_is_named(client: TestClient, upload: Upload) -> None:
    body = {"skip_ragged": "yes", "encodng": "utf-8", "encoding": 3}
    response = client.post(f"/api/datasets/{upload()['id']}/reread", json=body)
    assert response.status_code == 422
    wheres = {problem["where"] for problem in response.json()["error"]["problems"]}
    assert wheres == {"skip_ragged", "encodng", "encoding"}


@pytest.mark.parametrize("body", [[], "utf-8", {"encoding": "klingon"}, {"delimiter": "x"}])
def test_options_that_mean_nothing_are_422(client: TestClient, upload: Upload, body: Any) -> None:
    assert client.post(f"/api/datasets/{upload()['id']}/reread", json=body).status_code == 422


def test_delete_says_what_became_free(client: TestClient, services: Services, upload: Upload) -> None:
    dataset_id = upload()["id"]
    response = client.delete(f"/api/datasets/{dataset_id}")
    assert response.json()["freed_bytes"] >= len(CSV)
    assert client.get(f"/api/datasets/{dataset_id}").status_code == 404
    assert not services.files.dataset(dataset_id).exists()


def test_a_data_set_in_use_stays(client: TestClient, launch: Callable[..., str]) -> None:
    run = client.get(f"/api/runs/{launch(name=HOSTILE)}").json()
    response = client.delete(f"/api/datasets/{run['dataset']}")
    assert response.status_code == 409
    assert HOSTILE in response.json()["error"]["message"]


def test_a_forced_header_can_be_left_to_headstart_again(client: TestClient, upload: Upload) -> None:
    address = f"/api/datasets/{upload()['id']}/reread"
    assert client.post(address, json={"header": False}).json()["columns"] == ["column_1", "column_2"]
    assert client.post(address, json={}).json()["columns"] == ["column_1", "column_2"]
    assert client.post(address, json={"header": "auto"}).json()["columns"] == ["text", "label"]
    assert client.post(address, json={"header": "maybe"}).status_code == 422


def test_nothing_is_fetched_offline(client: TestClient) -> None:
    answer = client.post("/api/datasets/fetch", json={"url": "hub:org/data"})
    assert answer.status_code == 409 and "HEADSTART_OFFLINE" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [{}, [], {"url": 7}, {"url": "x", "more": 1}])
def test_a_fetch_needs_an_address(client: TestClient, body: Any) -> None:
    assert client.post("/api/datasets/fetch", json=body).status_code == 422
