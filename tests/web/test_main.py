"""The application as a process: lean to import, quick to stop."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from app.core.settings import Settings

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "bokeh", "sklearn", "pyarrow", "alembic", "numpy", "celery", "worker")
SERVER = """
import sys, socket, uvicorn
from app.core.settings import Settings
from app.main import create_app
listener = socket.socket(fileno=int(sys.argv[1]))
config = uvicorn.Config(create_app(Settings()), log_level="warning")
uvicorn.Server(config).run(sockets=[listener])
"""


def test_importing_the_application_leaves_the_heavy_libraries_out() -> None:
    code = f"import sys, app.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_stop_signal_ends_open_streams_and_the_process(settings: Settings) -> None:
    """Uvicorn waits for its connections without end here: only the closing of the streams lets it stop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(listener.fileno())],
            cwd=ROOT,
            env={**settings.environment(), "PATH": "/usr/bin:/bin"},
            pass_fds=[listener.fileno()],
        )
    try:
        with urlopen(f"http://127.0.0.1:{port}/live", timeout=60) as stream:
            assert stream.readline().startswith(b"event: summary")
            process.send_signal(signal.SIGTERM)
            stream.read()  # ends
        assert process.wait(60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
