"""Trainer processes: started in a session of their own, identified by pid and start time, ended as a group."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from app.core.settings import Settings

# Exit codes of a trainer that say more than "it failed".
EXIT_ORPHANED, EXIT_LOCKED = 70, 75
# A file in the run's folder: the system ended an attempt for lack of memory.
MEMORY_FULL = "memory-full"


class Trainer:
    """A `python -m worker.trainer` that imports torch at once and then waits for a run on its standard input.

    Its standard input is also its lifeline: when the supervisor dies, the pipe closes and the trainer exits.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid
        self.started = process_start(process.pid) or 0.0

    @classmethod
    def start(cls, settings: Settings) -> "Trainer":
        folder = settings.home / "logs"
        folder.mkdir(exist_ok=True)
        # A file, never a pipe that can fill; the trainer turns to the attempt's own log when it gets a run.
        with (folder / "trainer.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.trainer"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **settings.environment()},
                start_new_session=True,
            )
        return cls(process)

    def begin(self, order: dict[str, Any]) -> None:
        """Hands the run over. A trainer that has died meanwhile is noticed by `wait`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Whether the trainer has ended, after at most `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_code(self) -> int:
        """The return code; negative: the signal that ended it."""
        return self._process.wait()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the whole process group and closes the lifeline."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:
                os.killpg(self.pid, number)


def process_start(pid: int) -> float | None:
    """When the process began, Unix seconds; None if there is none (a pid alone may be somebody else's by now)."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def kill_group(pid: int | None, started: float | None) -> None:
    """Ends the process group of an earlier attempt if its leader is still the process we knew."""
    if pid is None or started is None:
        return
    now_started = process_start(pid)
    if now_started is not None and abs(now_started - started) < 0.05:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def oom_kills() -> int:
    """How many processes the kernel has ended for lack of memory in our cgroup (0 where it does not say)."""
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split() for line in (folder / "memory.events").read_text().splitlines())
            return int(fields.get("oom_kill", "0"))
    return 0


def memory_group() -> int | None:
    """Bytes that our cgroup may still take; None if it has no limit or does not say. Cached files count as free."""
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError):
            limit = (folder / "memory.max").read_text().strip()
            if limit == "max":
                return None
            fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            cached = int(fields.get("inactive_file", "0"))
            return max(0, int(limit) - int((folder / "memory.current").read_text()) + cached)
    return None


def _groups() -> tuple[Path, ...]:
    """Where our cgroup (v2) may be: inside a container it is at the top."""
    root = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        group = Path("/proc/self/cgroup").read_text().strip().splitlines()[-1].split(":")[-1]
        return root / group.lstrip("/"), root
    return ()
