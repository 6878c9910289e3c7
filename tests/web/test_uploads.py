"""Uploads: streamed in pieces, and nothing is left of one that breaks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.core.errors import NoSpace
from app.core.files import Files
from app.web import uploads
from app.web.services import Services


def left(services: Services) -> list[Path]:
    return list((services.files.root / "datasets").glob("*"))


async def pieces(*parts: bytes, error: BaseException | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


def test_a_body_in_many_pieces_arrives_whole(services: Services) -> None:
    parts = [b"text,label\n"] + [b"a text that is good,%d\n" % (number % 2) for number in range(200)]
    view = asyncio.run(uploads.receive(services, "many.csv", pieces(*parts), None))
    assert (view["state"], view["rows"], view["bytes"]) == ("ready", 200, len(b"".join(parts)))


def test_large_bodies_are_written_in_blocks(services: Services) -> None:
    row = b"a text of some length,label\n"
    body = b"text,label\n" + row * (3 * uploads.BUFFER // len(row))
    chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    view = asyncio.run(uploads.receive(services, "large.csv", pieces(*chunks), len(body)))
    assert view["bytes"] == len(body)


@pytest.mark.parametrize("error", [ClientDisconnect(), asyncio.CancelledError(), OSError("broken")])
def test_a_broken_upload_leaves_nothing(services: Services, error: BaseException) -> None:
    with pytest.raises(type(error)):
        asyncio.run(uploads.receive(services, "broken.csv", pieces(b"text,label\n", error=error), None))
    assert left(services) == []
    assert services.datasets.views() == []


def test_a_browser_that_goes_away_leaves_nothing(client: TestClient, services: Services) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"text,label\n" * 1000, "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "PUT",
        "path": "/api/datasets",
        "raw_path": b"/api/datasets",
        "query_string": b"name=gone.csv",
        "headers": [(b"host", b"testserver"), (b"content-length", b"99999")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    assert sent == []
    assert left(services) == []


def test_too_little_disk_is_said_before_anything_is_written(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Files, "free_bytes", lambda self: 300 * 2**20)
    with pytest.raises(NoSpace, match="Too little disk"):
        asyncio.run(uploads.receive(services, "huge.csv", pieces(b"x"), 200 * 2**20))
    assert left(services) == []


def test_a_sender_that_has_less_than_it_announced_is_told_all_the_same(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalls() -> AsyncIterator[bytes]:
        yield b"text,label\n"
        await asyncio.Event().wait()

    monkeypatch.setattr(uploads, "DRAIN_SECONDS", 0.05)
    with pytest.raises(NoSpace):
        asyncio.run(uploads.receive(services, "huge.csv", stalls(), 10**20))
    assert left(services) == []


def test_a_crashed_reading_is_taken_up_again(client: TestClient, services: Services) -> None:
    upload = services.datasets.begin("left.csv", None)
    upload.write(b"text,label\ngood,a\nbad,b\n")
    upload.commit()  # and then the process died
    assert services.datasets.unread() == [upload.id]
    from app.web.reading import Reader

    reader = Reader(services.datasets)
    reader.start()
    assert reader.submit(upload.id).wait(20)
    reader.stop()
    assert client.get(f"/api/datasets/{upload.id}").json()["state"] == "ready"
