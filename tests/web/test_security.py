"""Who may talk to Headstart, and what its pages may load."""

import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from app.core.errors import HeadstartError
from app.web.security import HOSTS, check_host, check_site

HOST = {"host": "127.0.0.1:8000"}


def allowed(headers: dict[str, str], check: Callable[[Headers], None]) -> bool:
    try:
        check(Headers(headers))
    except HeadstartError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8000", True),
        ("[::1]", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("localhost.evil.example", False),
        ("testserver", False),
        ("", False),
    ],
)
def test_only_loopback_names_are_answered(host: str, known: bool) -> None:
    assert allowed({"host": host}, lambda headers: check_host(headers, HOSTS)) == known


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({}, True),  # curl, a script
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),  # another port of localhost
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:3000"}, False),
        ({"origin": "http://localhost:8000"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000"}, False),
    ],
)
def test_unsafe_requests_come_from_our_own_pages_or_from_no_page(headers: dict[str, str], fine: bool) -> None:
    assert allowed({**HOST, **headers}, check_site) == fine


def test_an_unknown_host_gets_the_error_json(client: TestClient) -> None:
    response = client.get("/api/runs", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert response.json()["error"]["kind"] == "refused"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_site_can_change_nothing(client: TestClient, method: str) -> None:
    response = client.request(method, "/api/datasets?name=a", headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403
    assert response.json()["error"]["kind"] == "refused"


def test_another_site_may_link_to_a_page(client: TestClient) -> None:
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/runs", "/api/nothing", "/static/app.css"])
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    headers = client.get(path, headers={"accept": "text/html"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_refusals_carry_the_policy_too(client: TestClient) -> None:
    response = client.post("/api/runs", headers={"origin": "http://evil.example"})
    assert "content-security-policy" in response.headers


def test_the_style_nonce_is_new_for_every_answer_and_stands_in_the_page(client: TestClient) -> None:
    nonces = set()
    for _ in range(2):
        response = client.get("/")
        found = re.search(r"'nonce-([\w-]+)'", response.headers["content-security-policy"])
        assert found and f'name="csp-nonce" content="{found[1]}"' in response.text
        nonces.add(found[1])
    assert len(nonces) == 2
