"""Has the data doctor examine versions of data sets: one process at a time, each question once."""

import contextlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.core.errors import Conflict, Unavailable
from app.core.files import Files, read_json
from app.datasets.doctor.base import Asked
from app.datasets.doctor.examine import FINDINGS_FILE, PROGRESS_FILE
from app.datasets.doctor.report import Report

log = logging.getLogger("headstart.web")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _Job:
    dataset_id: str
    version: int
    asked: Asked


class Examiner:
    """What was found lies in datasets/ID/vN/doctor/KEY/ and is not looked for again.

    waiting ──▶ working ──▶ done
                   └──────▶ failed     until somebody asks with `again`
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: dict[_Job, threading.Event] = {}
        self._failed: dict[_Job, str] = {}
        self._now: tuple[_Job, subprocess.Popen[bytes]] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="examiner", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the process that works; what it was asked is asked again by the next look."""
        with self._lock:
            self._stopped = True
            if self._now is not None:
                self._now[1].kill()
        self._jobs.put(None)

    def forget(self, dataset_id: str) -> None:
        """The data set was deleted: nobody wants to know any more."""
        with self._lock:
            for job in [job for job in self._waiting if job.dataset_id == dataset_id]:
                self._waiting.pop(job).set()
            if self._now is not None and self._now[0].dataset_id == dataset_id:
                self._now[1].kill()

    def look(
        self, dataset_id: str, version: int, asked: Asked, again: bool = False, patience: float = 0.0
    ) -> dict[str, Any]:
        """{"state", "progress" (0–1), "doing", "error"}; has it examined if nobody has yet.

        Waits up to `patience` seconds for the end.
        """
        job = _Job(dataset_id, version, asked)
        if self._is_done(job):
            return _state("done", 1.0)
        with self._lock:
            if again:
                self._failed.pop(job, None)
            if job in self._failed:
                return _state("failed", error=self._failed[job])
            event = self._waiting.get(job)
            if event is None:
                event = self._waiting[job] = threading.Event()
                self._jobs.put(job)
        if patience:
            event.wait(patience)
        return self._seen(job)

    def knows(self, dataset_id: str, version: int, asked: Asked) -> bool:
        """Whether it was examined already; asks for nothing."""
        return self._is_done(_Job(dataset_id, version, asked))

    def report(self, dataset_id: str, version: int, asked: Asked) -> Report:
        """What was found. Raises Conflict while that is not known, Unavailable if it failed."""
        told = self.look(dataset_id, version, asked)
        if told["state"] == "failed":
            raise Unavailable(str(told["error"]))
        if told["state"] != "done":
            raise Conflict("The data is still being examined; try again in a moment.")
        folder = self._files.version(dataset_id, version)
        return Report(folder, _out(folder, asked), self._files.dataset(dataset_id) / "marks")

    # -- inside ---------------------------------------------------------------------------------------------

    def _is_done(self, job: _Job) -> bool:
        return (self._folder(job) / FINDINGS_FILE).is_file()

    def _folder(self, job: _Job) -> Path:
        return _out(self._files.version(job.dataset_id, job.version), job.asked)

    def _seen(self, job: _Job) -> dict[str, Any]:
        if self._is_done(job):
            return _state("done", 1.0)
        with self._lock:
            if job in self._failed:
                return _state("failed", error=self._failed[job])
            working = self._now is not None and self._now[0] == job
        told: dict[str, Any] = {"progress": 0.0, "doing": "waiting"}
        if working:
            with contextlib.suppress(FileNotFoundError, ValueError):
                told = read_json(self._folder(job) / PROGRESS_FILE)
        return _state("working" if working else "waiting", told["progress"], str(told["doing"]))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            error = None
            try:
                with self._lock:
                    wanted = job in self._waiting and not self._stopped
                if wanted and not self._is_done(job):
                    error = self._examine(job)
            except Exception:
                log.exception("examining data set %s failed", job.dataset_id)
                error = "Headstart could not examine the data; the log of `headstart serve` says more."
            with self._lock:
                if error is not None and not self._stopped:
                    self._failed[job] = error
                event = self._waiting.pop(job, None)
            if event is not None:
                event.set()

    def _examine(self, job: _Job) -> str | None:
        """None if it went well or the data set is gone; else what to tell."""
        folder, out = self._files.version(job.dataset_id, job.version), self._folder(job)
        try:
            out.parent.mkdir(exist_ok=True)  # not its parents: the data set may be gone
            out.mkdir(exist_ok=True)
        except FileNotFoundError:
            return None
        process = subprocess.Popen(
            [sys.executable, "-m", "app.datasets.doctor", str(folder), str(out)],
            stdin=subprocess.PIPE,  # closes when we die, however we die
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "RAYON_NUM_THREADS": "1",
                "TOKENIZERS_PARALLELISM": "false",
            },
            cwd=ROOT,
            start_new_session=True,
        )
        assert process.stdin is not None and process.stderr is not None
        with self._lock:
            self._now = (job, process)
            if self._stopped:
                process.kill()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asdict(job.asked)).encode() + b"\n")
                process.stdin.flush()
            told = process.stderr.read().decode(errors="replace")
            code = process.wait()
        finally:
            with self._lock:
                self._now = None
                forgotten = job not in self._waiting
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stderr.close()
        if code == 0 or forgotten or self._stopped or not folder.is_dir():
            if code != 0:
                shutil.rmtree(out, ignore_errors=True)
            return None
        log.error("examining data set %s ended with code %s: %s", job.dataset_id, code, told[-4000:])
        return f"The process that examines the data ended with code {code}. The log of `headstart serve` says more."


def _out(version: Path, asked: Asked) -> Path:
    return version / "doctor" / asked.key


def _state(state: str, progress: float = 0.0, doing: str = "", error: str | None = None) -> dict[str, Any]:
    return {"state": state, "progress": progress, "doing": doing, "error": error}
