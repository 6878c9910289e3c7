"""Errors: one shape of JSON below /api, a page elsewhere, never a traceback."""

import asyncio
import contextlib
import logging

import pytest
from anyio import BrokenResourceError
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.types import Message, Receive, Scope, Send

from app.core.db import Database
from app.web.errors import CatchAll, database_refused
from app.web.services import Services

PAGE = {"accept": "text/html"}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/api/runs/zzzzzzzzzzzz", 404, "not_found"),
        ("GET", "/api/runs/NOT-AN-ID", 404, "not_found"),
        ("GET", "/api/runs/..%2f..%2fetc", 404, "not_found"),
        ("GET", "/api/datasets/zzzzzzzzzzzz", 404, "not_found"),
        ("GET", "/api/datasets/x/rows", 404, "not_found"),
        ("PATCH", "/api/runs", 405, "method_not_allowed"),
        ("PUT", "/api/datasets", 422, "invalid"),
        ("GET", "/api/runs/zzzzzzzzzzzz/points?max=one", 422, "invalid"),
        ("POST", "/api/runs/zzzzzzzzzzzz/cancel", 404, "not_found"),
        ("DELETE", "/api/runs/zzzzzzzzzzzz", 404, "not_found"),
        ("GET", "/api/runs/zzzzzzzzzzzz/events", 404, "not_found"),
        ("GET", "/api/runs/zzzzzzzzzzzz/log", 404, "not_found"),
        ("GET", "/api/runs/zzzzzzzzzzzz/checkpoint.zip", 404, "not_found"),
    ],
)
def test_errors_are_always_the_same_json(
    client: TestClient, method: str, path: str, status: int, kind: str
) -> None:
    response = client.request(method, path, headers=PAGE)
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"kind", "message", "problems"}
    assert error["kind"] == kind and error["message"]


def test_a_missing_parameter_is_named(client: TestClient) -> None:
    assert client.put("/api/datasets").json()["error"]["problems"] == [
        {"where": "name", "message": "is required"}
    ]


@pytest.mark.parametrize("path", ["/nothing", "/runs/zzzzzzzzzzzz", "/data/zzzzzzzzzzzz", "/runs/NO"])
def test_people_get_a_page(client: TestClient, path: str) -> None:
    response = client.get(path, headers=PAGE)
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert "<h1>" in response.text


def test_a_hostile_address_is_escaped_on_the_page(client: TestClient) -> None:
    assert "<script>alert" not in client.get("/<script>alert(1)</script>", headers=PAGE).text


@pytest.mark.parametrize("path", ["/api/models", "/models"])
def test_a_bug_becomes_one_sentence_and_a_traceback_in_the_log(
    client: TestClient, services: Services, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    services.models = None  # type: ignore[assignment]
    with caplog.at_level(logging.ERROR, "headstart.web"):
        response = client.get(path, headers=PAGE)
    assert response.status_code == 500
    assert "Something went wrong inside Headstart" in response.text
    assert "Traceback" not in response.text and "NoneType" not in response.text
    assert "content-security-policy" in response.headers
    assert caplog.records[0].exc_info


def test_a_broken_database_still_gets_a_sentence(
    client: TestClient, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    services.database.close()
    services.database.path.write_bytes(b"this is no database, but long enough to look like one" * 50)
    for suffix in ("-wal", "-shm"):
        services.database.path.with_name(services.database.path.name + suffix).unlink(missing_ok=True)
    with caplog.at_level(logging.CRITICAL, "headstart.web"):
        response = client.get("/", headers=PAGE)
    assert response.status_code == 500
    assert response.json()["error"]["kind"] == "bug"


def test_a_locked_database_is_said_and_not_called_a_bug(client: TestClient, services: Services) -> None:
    holder, services.database = services.database, Database(services.database.url, patience=0.001)
    with holder.write() as session:
        session.execute(text("SELECT 1"))  # the transaction begins, and with it the lock
        response = client.post("/api/runs/zzzzzzzzzzzz/cancel")
    services.database.close()
    services.database = holder
    assert response.status_code == 503
    assert "locked" in response.json()["error"]["message"]


def test_a_full_disk_is_said() -> None:
    error = database_refused(OperationalError("", None, Exception("database or disk is full")))
    assert error is not None
    assert (error.status, error.kind) == (507, "disk")
    assert database_refused(OperationalError("", None, Exception("no such column: x"))) is None


@pytest.mark.parametrize(("fault", "told"), [(BrokenResourceError(), False), (ValueError("a bug"), True)])
def test_who_leaves_a_stream_is_no_fault(
    fault: Exception, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ExceptionGroup("the tasks of a stream", [fault])

    async def ask() -> None:
        async def ignore(_: Message) -> None: ...

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/live"}
        with pytest.raises(ExceptionGroup) if told else contextlib.nullcontext():
            await CatchAll(stream)(scope, receive, ignore)

    asyncio.run(ask())
    assert ("unexpected error in GET /live" in caplog.text) is told
