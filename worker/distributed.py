"""Several processes of one machine train one run together: one a GPU, or as many as HEADSTART_PROCESSES says.

The trainer is the first. It starts the others in its own process group, so that what ends the group ends them all; each hangs
on a pipe and ends when the trainer has gone; and if one of them dies, the trainer ends the same way, for it would wait
for the dead for ever. All meet at a file and talk through the loopback interface. What they share: worker/ranks.py, and for a
model that is too large for each, worker/sharding.py. Untested on GPUs.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from app.core.settings import Settings
from worker import ranks
from worker.ranks import Joined, Ranks

log = logging.getLogger(__name__)

# The others wait while the first evaluates, which may take hours; that one of them is gone is told by the pipes.
PATIENCE = timedelta(days=30)
END_SECONDS = 5.0


@dataclass(frozen=True)
class Meeting:
    """Where the `world` processes of an attempt find each other; `rank`: the number of this one, from 0."""

    rank: int = 0
    world: int = 1
    file: Path = Path()

    @property
    def first(self) -> bool:
        """Whether this process records, evaluates and saves."""
        return self.rank == 0

    def join(self) -> Ranks:
        """Waits until all are here."""
        if self.world == 1:
            return ranks.ALONE
        for backend in ("GLOO", "NCCL"):  # by the host's name they might not find each other
            os.environ.setdefault(f"{backend}_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            init_method=self.file.as_uri(),
            rank=self.rank,
            world_size=self.world,
            timeout=PATIENCE,
        )
        return Joined()


ALONE = Meeting()


def processes(settings: Settings) -> int:
    """How many train a run together."""
    devices = torch.cuda.device_count()
    return min(settings.processes or devices, devices) if devices else max(1, settings.processes)


class Helpers(AbstractContextManager["Helpers"]):
    """The other processes of an attempt. Leaving it ends them."""

    def __init__(self, settings: Settings, run_id: str, attempt: int, folder: Path, world: int) -> None:
        """`folder`: that of the attempt; `world`: how many processes there are with this one."""
        self.meeting = Meeting(0, world, folder.absolute() / "meeting")
        self._settings, self._order = settings, {"run_id": run_id, "attempt": attempt}
        self._started: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()

    def __enter__(self) -> "Helpers":
        for rank in range(1, self.meeting.world):
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.helper"],
                stdin=subprocess.PIPE,
                env={**os.environ, **self._settings.environment()},
            )
            order = {
                **self._order,
                "rank": rank,
                "world": self.meeting.world,
                "file": str(self.meeting.file),
            }
            _send(process, order)
            self._started.append(process)
            threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for process in self._started:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self._started:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if dist.is_initialized():
            dist.destroy_process_group()

    def end_with_the_dead(self) -> None:
        """After an error of this process: if it came of another's death, that is what it ends of."""
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _end_like(process.wait(1.0))

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        if not self._over.is_set():
            _end_like(code)


def _send(process: "subprocess.Popen[bytes]", order: dict[str, Any]) -> None:
    """The pipe stays open: it is the lifeline."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # one that is dead already is seen by who watches it
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()


def _end_like(code: int) -> None:
    """Ends this process as another has ended; not if that one had done its work."""
    if code == 0:
        return
    log.error("another process of the run has ended with %d, and so does this one", code)
    if code < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(code)
