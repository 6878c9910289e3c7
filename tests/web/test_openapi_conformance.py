"""schemathesis sends whatever the OpenAPI document allows, and much that it doesn't, to every address: no answer is a 5xx, each is
documented and has its schema, what is allowed is accepted and what is not is refused."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from tests.waiting import until

from .conftest import CSV, EchoPredictor, RecordingQueue, Trainer

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).with_name("schemathesis.toml")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of the application on a real socket."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "the server")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_every_answer_is_as_documented(settings: Settings, tmp_path: Path) -> None:
    app = create_app(settings, queue=RecordingQueue(), predictor=EchoPredictor())
    with served(app) as url, httpx2.Client(base_url=url) as client:
        # Positive is another spelling, so that the doctor has a finding with fixes.
        content = CSV + "".join(f"fine film number {number},Positive\n" for number in range(9))
        dataset = client.put("/api/datasets", params={"name": "reviews.csv"}, content=content).json()["id"]
        until(lambda: client.get(f"/api/datasets/{dataset}/findings").json()["state"] == "done", "the doctor")
        spec = {"dataset": dataset, "task": "classification", "columns": {"text": "text", "label": "label"}}
        run = client.post("/api/runs", json=spec).json()["id"]
        Trainer(app.state.services, run).succeed()
        variables = {"HEADSTART_URL": url, "HEADSTART_DATASET": dataset, "HEADSTART_RUN": run}
        asked = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
                *("run", f"{url}/api/openapi.json", "--phases", "coverage,fuzzing", "--max-examples", "5"),
                *("--continue-on-failure", "--no-shrink", "--no-color"),
            ],
            env={**os.environ, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert client.get(f"/api/datasets/{dataset}").status_code == 200
        assert client.get(f"/api/runs/{run}").json()["state"] == "succeeded"
        paths = client.get("/api/openapi.json").json()["paths"]
    assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
    assert f"Tested: {sum(map(len, paths.values()))}\n" in asked.stdout, asked.stdout[-2000:]
