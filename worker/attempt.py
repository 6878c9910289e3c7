"""What all stages of an attempt share: where its files are, whom it tells, and whether it is to end."""

import threading
from collections.abc import Callable
from typing import Any

from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from worker.backbone import pick_device
from worker.disk import disk_full, read_only
from worker.distributed import ALONE, Meeting
from worker.keeper import Keeper
from worker.recorder import AGAIN_SECONDS, Recorder


class Cancelled(Exception):
    """The user cancelled the run."""


class LaidAside(Exception):
    """The run ends here and goes on later from its checkpoint: the user paused it, or the worker stops."""


class Attempt:
    """One attempt of one run, whatever its task. `stopping` is set by who stops the worker."""

    def __init__(
        self,
        settings: Settings,
        files: Files,
        database: Database,
        recorder: Recorder,
        run_id: str,
        number: int,
        spec: RunSpec,
        meeting: Meeting = ALONE,
    ) -> None:
        """`meeting`: with the other processes that train this run."""
        self.settings, self.files, self.database = settings, files, database
        self.recorder, self.run_id, self.number, self.spec = recorder, run_id, number, spec
        self.device, self.meeting = pick_device(), meeting
        self.plan_file = files.run(run_id) / "plan.json"
        self.frozen_plan: dict[str, Any] = {}  # what plan_file held when the attempt began
        self.best_weights = files.attempt(run_id, number) / "best.safetensors"
        self.keeper = Keeper(
            files.run(run_id) / "checkpoints",
            self.best_weights,
            spec.checkpoint_seconds,
            lambda line: recorder.log("warning", line),
        )
        self.stopping = threading.Event()  # set from a signal's handler
        self.keeping = False  # whether checkpoints are being written
        self.winding_up = False  # whether it ends already, and only keeps what there is

    def say(self, line: str) -> None:
        self.recorder.log("info", line)

    def check(self) -> None:
        """Raises Cancelled, LaidAside or LostRun if the attempt is to end. Long work asks now and then."""
        self.recorder.confirm()
        if self.winding_up:
            self._check_lost()
            return
        if self.recorder.cancelled.is_set():
            raise Cancelled
        # While it trains, a pause waits for a place that can be kept.
        if self.stopping.is_set() or (self.recorder.paused.is_set() and not self.keeping):
            raise LaidAside
        self._check_lost()

    def _check_lost(self) -> None:
        if self.recorder.lost.is_set():
            self.recorder.flush()  # raises LostRun

    def with_room(self, what: str, phase: str, write: Callable[[], None]) -> None:
        """Calls `write`. While the disk does not take `what`, the run waits: a night's work is not ended for want of room.

        `phase`: what the page shows afterwards. Raises what `check` raises; LaidAside for a pause too.
        """
        waiting = False
        while True:
            try:
                write()
                break
            except Exception as error:
                if not (disk_full(error) or read_only(error)):
                    raise
                why = "is too full" if disk_full(error) else "has become read-only"
            if not waiting:
                waiting = True
                self.recorder.log(
                    "warning", f"The disk {why} for {what}; the run waits until they can be written."
                )
                self.recorder.progress(phase="waiting for the disk")
            self.check()
            if self.recorder.paused.is_set():
                raise LaidAside
            self.stopping.wait(AGAIN_SECONDS)
        if waiting:
            self.recorder.progress(phase=phase)
