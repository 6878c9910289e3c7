"""`headstart serve` as a user starts it: the whole API over real processes, a clean stop, no orphan."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.serving import Served, begin, free_port, serving, toy_csv
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all the tests after which it still serves."""
    with serving(tmp_path_factory.mktemp("lasting")) as served:
        yield served


def gone(processes: list[psutil.Process]) -> bool:
    return all(
        not one.is_running() or one.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        for one in processes
    )


def queue_toy_run(served: Served, epochs: int) -> str:
    dataset = served.call("PUT", "/api/datasets?name=toy.csv", toy_csv().encode())
    until(lambda: served.call("GET", f"/api/datasets/{dataset['id']}")["state"] == "ready", "the data set")
    spec = {
        "dataset": dataset["id"],
        "task": "classification",
        "columns": {"text": "text", "label": "label"},
        "model": "local:tiny",
        "epochs": epochs,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "max_length": 32,
    }
    run_id: str = served.call("POST", "/api/runs", spec)["id"]
    return run_id


def wait_for(served: Served, run_id: str, state: str, step: int = 0) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        run: dict[str, Any] = served.call("GET", f"/api/runs/{run_id}")
        assert run["state"] in ("queued", "running", state), run["error"]
        return run if run["state"] == state and run["step"] >= step else None

    return until(reached, f"{state} at step {step}")


def test_a_script_does_the_whole_main_job_and_the_stop_is_clean(served: Served, tmp_path: Path) -> None:
    run_id = queue_toy_run(served, epochs=15)
    run = wait_for(served, run_id, "succeeded")
    assert run["metrics"]["accuracy"] > 0.8
    points = served.call("GET", f"/api/runs/{run_id}/points?series=train/loss,validation/loss")
    assert points["train/loss"]["step"] == list(range(1, run["steps"] + 1))
    assert len(points["validation/loss"]["value"]) == 15

    text = "the story was superb"
    (tried,) = served.call("POST", f"/api/runs/{run_id}/predict", {"inputs": [text]})["outputs"]
    archive = zipfile.ZipFile(io.BytesIO(served.call("GET", f"/api/runs/{run_id}/checkpoint.zip")))
    archive.extractall(tmp_path / "folder")
    script = (
        "import json, sys\nfrom transformers import pipeline\n"
        "classify = pipeline('text-classification', sys.argv[1], truncation=True, max_length=32)\n"
        "print(json.dumps(classify([sys.argv[2]], top_k=None)[0]))"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "folder"), text],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    loaded = {one["label"]: one["score"] for one in json.loads(elsewhere.stdout)}
    assert loaded == pytest.approx(tried["probabilities"], abs=1e-6)

    children = served.processes()
    assert len(children) >= 4
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) == 0
    assert gone(children)


def test_a_stop_during_training_loses_nothing(served: Served, tmp_path: Path) -> None:
    run_id = queue_toy_run(served, epochs=1000)
    wait_for(served, run_id, "running", step=3)
    children = served.processes()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    assert gone(children)

    again = begin(served.home, tmp_path / "models", int(served.url.rsplit(":", 1)[1]))
    assert again.stdout is not None
    while "Ready" not in (line := again.stdout.readline()):
        assert line
    restarted = Served(again, served.url, served.home)
    run = wait_for(restarted, run_id, "running", step=3)
    assert run["attempt"] == 2
    restarted.call("POST", f"/api/runs/{run_id}/cancel")
    wait_for(restarted, run_id, "cancelled")
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 0
    again.stdout.close()


def test_no_orphan_is_left_when_it_is_killed(served: Served) -> None:
    run_id = queue_toy_run(served, epochs=1000)
    wait_for(served, run_id, "running", step=3)
    children = served.processes()
    served.process.kill()
    until(lambda: gone(children), "the children to end", limit=30)


def test_a_second_one_on_the_same_folder_is_refused(lasting: Served, tmp_path: Path) -> None:
    second = begin(lasting.home, tmp_path / "models", free_port())
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "already serves the data folder" in output


def test_a_used_port_is_said_in_a_sentence(lasting: Served, tmp_path: Path) -> None:
    port = int(lasting.url.rsplit(":", 1)[1])
    second = begin(tmp_path / "other", tmp_path / "models", port)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"Port {port} on 127.0.0.1 can't be used" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["worker.celery_app runs", "valkey-server", "app.cli web"])
def test_a_process_that_dies_is_started_again(lasting: Served, name: str) -> None:
    def found(but: int = 0) -> psutil.Process | None:
        for one in lasting.processes():
            with contextlib.suppress(psutil.Error):
                if name in " ".join(one.cmdline()) and one.pid != but:
                    return one
        return None

    victim = until(found, name)
    victim.kill()
    until(lambda: found(but=victim.pid), f"a new {name}")
    until(lambda: answers(lasting), "the web server")
    wait_for(lasting, queue_toy_run(lasting, epochs=1), "succeeded")


def answers(served: Served) -> bool:
    try:
        served.call("GET", "/api/runs")
    except OSError:
        return False
    return True
