"""Bodies that are no JSON, too big or hostile end in a sentence."""

import pytest
from fastapi.testclient import TestClient

from app.web import body


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"epochs": NaN}', "not JSON"),
        (b'{"epochs": Infinity}', "not JSON"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_said(client: TestClient, content: bytes, said: str) -> None:
    response = client.post("/api/runs", content=content)
    assert response.status_code == 422
    assert said in response.json()["error"]["message"]


def test_a_body_over_the_limit_is_413(client: TestClient) -> None:
    response = client.post("/api/runs", content=b'"' + b"x" * body.MAX_JSON + b'"')
    assert response.status_code == 413
    assert response.json()["error"]["kind"] == "too_large"


@pytest.mark.parametrize("value", ["null", "3", '"text"', "[]", "[1]"])
def test_json_that_is_no_spec_is_said(client: TestClient, value: str) -> None:
    response = client.post("/api/runs", content=value)
    assert response.status_code == 422
    assert response.json()["error"]["problems"]
