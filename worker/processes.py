"""Trainer processes: started in a session of their own, identified by pid and start time, ended as a group."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from app.core.logs import open_log
from app.core.settings import Settings

# Exit codes of a trainer that say more than "it failed".
EXIT_ORPHANED, EXIT_MEMORY, EXIT_FEWER, EXIT_DATABASE, EXIT_LOCKED = 70, 71, 72, 74, 75
# A file in the run's folder: an attempt ended for lack of memory. It may hold how many rows it took at a time.
MEMORY_FULL = "memory-full"


def die_with_parent() -> None:
    """Standard input closes when who started us dies: without it nobody would end a process that hangs."""
    while os.read(0, 4096):
        pass
    os._exit(EXIT_ORPHANED)


class Trainer:
    """A `python -m worker.trainer` that imports torch at once and then waits for a run on its standard input.

    Its standard input is also its lifeline: when the supervisor dies, the pipe closes and the trainer exits. Through another
    pipe it shows that it lives (worker/pulse.py): a file would be silent on a full disk, the database while it is locked.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", pulse: int, told: int) -> None:
        """`pulse`: our end of that pipe; `told`: the number of the trainer's end, there."""
        self._process, self._pulse, self._told = process, pulse, told
        self.pid = process.pid
        self.started = process_start(process.pid) or 0.0

    @classmethod
    def start(cls, settings: Settings, environment: Mapping[str, str] | None = None) -> "Trainer":
        """`environment`: beside ours."""
        ours, its = os.pipe()
        os.set_blocking(ours, False)
        os.set_blocking(its, False)
        try:
            # A file, never a pipe that can fill; the trainer turns to the attempt's own log when it gets a run.
            with open_log(settings.home / "logs" / "trainer.log") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "worker.trainer"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **settings.environment(), **(environment or {})},
                    start_new_session=True,
                    pass_fds=(its,),
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        return cls(process, ours, its)

    def begin(self, order: dict[str, Any]) -> None:
        """Hands the run over. A trainer that has died meanwhile is noticed by `wait`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({**order, "pulse": self._told}).encode() + b"\n")
            self._process.stdin.flush()

    def alive(self) -> bool:
        return self._process.poll() is None

    def heard(self) -> bool:
        """Whether it has shown that it lives since the last call."""
        try:
            return bool(os.read(self._pulse, 2**16))
        except BlockingIOError:
            return False

    def frozen(self) -> bool:
        """Whether somebody has stopped it from outside (SIGSTOP, a debugger)."""
        try:
            return psutil.Process(self.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        except psutil.Error:
            return False

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
        if self._pulse >= 0:
            os.close(self._pulse)
            self._pulse = -1

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


def pid_space() -> str:
    """Where our process ids mean something; "" where all processes of a machine share them."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return ""


def kill_group(pid: int | None, started: float | None) -> None:
    """Ends the process group of an earlier attempt if its leader is still the process we knew."""
    if pid is None or started is None:
        return
    now_started = process_start(pid)
    if now_started is not None and abs(now_started - started) < 0.05:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def oom_kills() -> int:
    """How many processes the kernel has ended for lack of memory: in our cgroup, or on the machine where that does not say
    (the root has no such file, and the old cgroups v1 count elsewhere); 0 on another system than Linux."""
    for file in (*(folder / "memory.events" for folder in _groups()), Path("/proc/vmstat")):
        with contextlib.suppress(OSError, ValueError):
            fields = dict(line.split() for line in file.read_text().splitlines())
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
