"""Files that are predicted: what is left of an upload that breaks, and of a process that died."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from app.core.files import new_id
from app.datasets.upload import Incoming
from app.web import predicted
from app.web.services import Services
from tests.web.conftest import Trainer
from tests.web.gallery import finished


@pytest.fixture
def run_id(launch: Callable[..., str], trainer: Callable[[str], Trainer]) -> str:
    run_id = launch()
    trainer(run_id).succeed()
    return run_id


def left(services: Services, run_id: str) -> list[Path]:
    return list((services.files.run(run_id) / "files").glob("*"))


async def broken(error: BaseException) -> AsyncIterator[bytes]:
    yield b"text\na row\n" * 200_000
    raise error


@pytest.mark.parametrize("error", [ClientDisconnect(), asyncio.CancelledError(), OSError("broken")])
def test_a_broken_upload_leaves_nothing(services: Services, run_id: str, error: BaseException) -> None:
    with pytest.raises(type(error)):
        asyncio.run(predicted.receive(services, run_id, "new.csv", broken(error), None, {}))

    assert left(services, run_id) == []
    assert predicted.views(services, run_id) == []


def test_what_dead_uploads_left_goes_at_the_next_start(
    client: TestClient, services: Services, run_id: str
) -> None:
    known = client.put(f"/api/runs/{run_id}/files", params={"name": "a.csv"}, content=b"text\nfine\n").json()
    dead, whole, living = (services.files.predicted(run_id, new_id()) for _ in range(3))
    for folder, name in ((dead, "original.part"), (whole, "original")):
        folder.mkdir()
        (folder / name).write_bytes(b"text\n")
    upload = Incoming(services.files, living, "b.csv")

    predicted.sweep(services)
    assert {folder.name for folder in left(services, run_id)} == {known["id"], whole.name, living.name}

    services.clock = lambda: whole.stat().st_mtime + predicted.ORPHAN_SECONDS + 1
    predicted.sweep(services)
    assert {folder.name for folder in left(services, run_id)} == {known["id"], living.name}
    upload.abort()


@pytest.mark.parametrize(("task", "told"), [("tagging", True), ("score", False)])
def test_a_run_that_takes_tokens_says_that_a_file_may_have_one_a_row(
    client: TestClient, services: Services, upload: Callable[..., dict[str, Any]], task: str, told: bool
) -> None:
    run_id = finished(services, task, upload()["id"])

    assert ("One token a row" in client.get(f"/runs/{run_id}/files").text) is told
