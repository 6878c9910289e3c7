"""What watches Headstart from outside sees the truth, and nothing that names data."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.broker import valkey_command, wait_until_ready
from app.core import attempts
from app.core.attempts import Batch
from app.core.events import PointValue
from app.core.settings import Settings
from app.core.tables import Worker
from app.web import health
from app.web.services import Services

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(settings: Settings) -> Iterator[None]:
    process = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_until_ready(settings, 30)
    yield
    process.terminate()
    process.wait()


def values(client: TestClient) -> dict[str, float]:
    """name{labels} → value, read as Prometheus reads it."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def problems(client: TestClient) -> dict[str, str]:
    answer = client.get("/readyz")
    found = answer.json()
    assert answer.status_code == (200 if found["ready"] else 503)
    assert found["ready"] is (found["problems"] == [])
    return {one["where"]: one["message"] for one in found["problems"]}


def test_alive_is_said_without_a_broker_or_a_database(client: TestClient, services: Services) -> None:
    services.database.path.rename(services.database.path.with_name("gone"))
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_ready_with_everything_there(client: TestClient, broker: None) -> None:
    assert problems(client) == {}


def test_without_a_broker_it_is_not_ready(client: TestClient) -> None:
    assert list(problems(client)) == ["broker"]


def test_a_locked_database_is_told_at_once(client: TestClient, services: Services, broker: None) -> None:
    with closing(sqlite3.connect(services.database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in problems(client)["database"]
    assert problems(client) == {}


def test_a_missing_database_is_told(client: TestClient, services: Services) -> None:
    services.database.path.rename(services.database.path.with_name("gone"))
    assert "no database" in problems(client)["database"]


def test_a_disk_below_the_reserve_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RESERVE", 2**62)
    assert "kept in reserve" in problems(client)["disk"]


def test_metrics_count_what_there_is(
    client: TestClient, services: Services, launch: Callable[..., str], upload: Callable[..., dict[str, Any]]
) -> None:
    dataset = upload()["id"]
    waiting, running, failed = (launch(dataset=dataset, name=f"secret {number}") for number in range(3))
    with services.database.write() as session:
        now = services.clock()
        number = attempts.claim(session, failed, now)
        assert number is not None
        fault = {"kind": "memory", "message": "too small"}
        attempts.fail_or_retry(session, failed, number, fault, True, now)
        number = attempts.claim(session, running, now)
        assert number is not None
        points = [PointValue(health.GPU_MEMORY, 1, 2.0e9, now)]
        attempts.record(session, running, number, Batch(points, progress={"examples_per_second": 12.5}), now)
    found = values(client)
    assert found["headstart_queue_length"] == 1
    assert found["headstart_runs{state=running}"] == 1
    assert found["headstart_runs{state=succeeded}"] == 0
    assert found["headstart_runs_failed{kind=memory}"] == 1
    assert found["headstart_runs_failed{kind=bug}"] == 0
    assert found[f"headstart_run_examples_per_second{{run={running}}}"] == 12.5
    assert found[f"headstart_run_gpu_memory_bytes{{run={running}}}"] == 2.0e9
    assert found["headstart_runs_stalled"] == 0
    assert found["headstart_database_bytes"] > 0
    assert found["headstart_disk_free_bytes"] > 0
    assert found["headstart_queue_oldest_seconds"] >= 0
    assert "secret" not in client.get("/metrics").text
    if sys.platform == "linux":
        assert found["process_resident_memory_bytes"] > 0
    assert waiting


def test_a_silent_worker_is_a_stalled_run(
    client: TestClient, services: Services, launch: Callable[..., str]
) -> None:
    run_id = launch()
    with services.database.write() as session:
        attempts.claim(session, run_id, services.clock() - 3600)
    assert values(client)["headstart_runs_stalled"] == 1


def test_workers_are_counted_by_whether_they_are_heard_of(client: TestClient, services: Services) -> None:
    now = services.clock()
    with services.database.write() as session:
        for number, heard in enumerate((now, now - 3600)):
            one = Worker(
                id=str(number), host="h", pid=1, pid_started=0, started_at=now - 7200, heard_at=heard
            )
            session.add(one)
    found = values(client)
    assert (found["headstart_workers{state=alive}"], found["headstart_workers{state=silent}"]) == (1, 1)


def test_two_looks_are_alike(client: TestClient) -> None:
    assert set(values(client)) == set(values(client))


def test_starting_needs_no_prometheus() -> None:
    code = "import sys, app.main; print('prometheus_client' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
