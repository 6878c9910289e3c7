"""A running `headstart serve`, for tests that need the whole product."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.worker.tiny import build_bert, toy


@dataclass
class Served:
    """A running `headstart serve`, spoken to as a script would: no browser headers."""

    process: "subprocess.Popen[str]"
    url: str
    home: Path

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers["content-type"] == "application/json" else content

    def processes(self) -> list[psutil.Process]:
        """All that it has started; trainers live in sessions of their own but are still its descendants."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def begin(home: Path, models: Path, port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--home", str(home), "--port", str(port)],
        env={**os.environ, "HEADSTART_MODELS": str(models), "HEADSTART_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def serving(tmp_path: Path) -> Iterator[Served]:
    """Serves a fresh data folder with the model local:tiny; stops at the end if the test has not."""
    models, port = tmp_path / "models", free_port()
    build_bert(models / "tiny", toy(200)[0])
    process = begin(tmp_path / "home", models, port)
    assert process.stdout is not None
    lines: list[str] = []
    while not any("Ready" in line for line in lines):
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    served = Served(process, f"http://127.0.0.1:{port}", tmp_path / "home")
    try:
        yield served
    finally:
        finish(process)


def finish(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    process.stdout.close()


def toy_csv(rows: int = 200) -> str:
    """The toy data as a CSV file with the columns text and label."""
    texts, labels = toy(rows)
    lines = (f"{text},{label}" for text, label in zip(texts, labels, strict=True))
    return "\n".join(["text,label", *lines])
