"""A broker that refuses for minutes: running runs go on, queued ones wait, and all is taken up when it is back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.broker import valkey_command, wait_until_ready
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.queue import Queue
from tests.faults.conftest import LONG, Faulty, Same
from tests.serving import free_port
from tests.waiting import until

pytestmark = pytest.mark.slow

# The worker's clock between two tries at the broker, and no other one: a second of waiting passes in ten milliseconds.
HURRIES = """
import sys
if "worker.celery_app" in sys.orig_argv:
    import time
    import kombu.utils.functional
    kombu.utils.functional.sleep = lambda seconds: time.sleep(seconds / 100)
"""


@contextmanager
def broker(settings: Settings, port: int) -> Iterator[None]:
    command = [valkey_command(settings)[0], "--port", str(port), "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(command, cwd=settings.home, stdout=subprocess.DEVNULL)
    assert wait_until_ready(settings, 60.0)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def worker(settings: Settings, hurries: Path) -> Iterator[None]:
    path = os.pathsep.join(filter(None, [str(hurries), os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.celery_app", "runs"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **settings.environment(), "PYTHONPATH": path},
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_a_broker_that_refuses_for_minutes_delays_queued_runs_and_ends_none(
    folder: Faulty, same: Same, tmp_path: Path
) -> None:
    (tmp_path / "hurries").mkdir()
    (tmp_path / "hurries" / "sitecustomize.py").write_text(HURRIES)
    port = free_port()
    settings = folder.settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{port}/0"})
    queue, log = Queue(settings), settings.home / "logs" / "worker.log"
    running = folder.runs.launch(**LONG)
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        first.enter_context(broker(settings, port))
        queue.wake(running)
        stack.enter_context(worker(settings, tmp_path / "hurries"))
        folder.kept(running)
        first.close()
        waiting = folder.runs.launch()
        with pytest.raises(Unavailable, match="does not answer"):
            queue.wake(waiting)
        # After 2, 4, 6 … seconds of that clock: over two minutes in all.
        until(lambda: "Trying again in 24" in log.read_text(), "minutes of refusals")
        until(lambda: folder.runs.read(running).state == "succeeded", "the end of the running run")
        assert folder.runs.read(running).attempt == 1
        same(running)
        assert folder.runs.read(waiting).state == "queued"
        assert "Traceback" not in log.read_text()
        with broker(settings, port):
            until(lambda: folder.runs.read(waiting).state == "succeeded", "the end of the run that waited")
