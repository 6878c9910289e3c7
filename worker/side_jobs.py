"""Beside the predictor: takes what waits in one table of the database, one at a time, each in a process of its own.

A process of its own, so that "try it" never waits behind a long one, and that one that fills the memory ends
only itself. The database is looked at twice a second: such a job needs no message, and none can be lost.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.side_jobs import LostJob

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 3.0


@dataclass(frozen=True)
class Job:
    """`module` runs with `arguments`; what it prints goes to `log`. `renew(session, now)` keeps its lease, and raises LostJob
    once it belongs to somebody else."""

    module: str
    arguments: tuple[str, ...]
    log: Path
    renew: Callable[[Session, float], Any]


class SideJobs(ABC):
    """A thread that watches for queued jobs. `start` and `stop` are called by the worker process."""

    name: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database, self.files = Database(settings.database), Files(settings.files_root)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def waiting(self, session: Session, now: float) -> bool:
        """Whether `claim` would find one: a look that takes no lock."""

    @abstractmethod
    def claim(self, session: Session, now: float) -> Job | None:
        """Takes the next one."""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._forever, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The process of a job that is being done ends with us; the job is taken up again later."""
        self._stopping.set()

    def _forever(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                while not self._stopping.is_set() and self.once():
                    pass
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)
            except Exception:
                log.exception("one of the %s could not be done", self.name)

    def once(self) -> bool:
        """Does the next job, if there is one; returns whether there was."""
        with self.database.read() as session:
            if not self.waiting(session, time.time()):
                return False
        with self.database.write() as session:
            job = self.claim(session, time.time())
        if job is None:
            return False
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", job.module, *job.arguments],
                stdin=subprocess.PIPE,  # closes when we die, however we die
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.settings.environment()},
                start_new_session=True,
            )
        try:
            self._watch(process, job)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        return True

    def _watch(self, process: "subprocess.Popen[bytes]", job: Job) -> None:
        """Renews the lease while the process works: a chunk of long texts may take longer than a lease."""
        while not self._stopping.is_set():
            try:
                process.wait(HEARTBEAT_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass
            try:
                with self.database.write() as session:
                    job.renew(session, time.time())
            except LostJob:
                return  # deleted with its run, or over: the process ends by itself or is ended
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)
