"""Watches the trainer of one attempt: renews its lease, ends one that hangs or does not heed a cancel, and says what its end means.

ended by itself ▸ it has written its end, or its exit code is judged here
killed from outside, frozen from outside, stopped with the worker ▸ back into the queue; it counts for nothing
out of memory ▸ back into the queue, to take half as many rows at a time; it counts where that is one row already
crashed, hung ▸ tried again, until app.core.runs.MAX_FAILURES without a checkpoint in between
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import OperationalError

from app.core import attempts, runs
from app.core.attempts import Batch
from app.core.db import Database
from app.core.files import Files, read_json
from worker.processes import (
    EXIT_DATABASE,
    EXIT_FEWER,
    EXIT_LOCKED,
    EXIT_MEMORY,
    MEMORY_FULL,
    Trainer,
    oom_kills,
)

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
HEARTBEAT_SECONDS = 4.0
# After a cancel the trainer may finish its step and save its best weights; then it is ended by force.
CANCEL_GRACE_SECONDS = 60.0
TERMINATE_GRACE_SECONDS = 10.0
# A trainer shows every two seconds that it lives, whatever it works on. It is frozen, or hangs, if it has not for so long:
UNHEARD_SECONDS = 120.0
START_SECONDS = 600.0  # before the first sign: the libraries come from a slow disk, perhaps
TOLD_SECONDS = 15.0  # after so long the page says so


class Watch:
    """The watch over one attempt. Its writes raise LostRun where the run is another's."""

    def __init__(
        self,
        database: Database,
        files: Files,
        trainer: Trainer,
        run: tuple[str, int],
        stopping: threading.Event,
        patience: float = UNHEARD_SECONDS,
    ) -> None:
        """`run`: its id and the attempt; `stopping` is set when the worker is to end; `patience`: see UNHEARD_SECONDS."""
        self._database, self._files, self._trainer = database, files, trainer
        self._run_id, self._attempt = run
        self._stopping, self._patience = stopping, patience
        self._unheard, self._heard, self._phase = 0.0, False, ""
        self._cancelled_at: float | None = None
        self._forced = False  # a cancel that the trainer does not heed
        self._error: dict[str, Any] | None = None  # why we have ended it, where that is its own fault
        # How many processes the system had ended for lack of memory when it was last looked at, and when the trainer was
        # surely alive: one that is being ended takes a while to go.
        self._kills_seen = self._kills = 0
        self._out_of_memory = False

    def until_its_end(self, nearly: Callable[[], None]) -> None:
        """Hands the run to the trainer and returns when its end is written. `nearly` is called when the training is over.

        Raises LostRun, NotFound.
        """
        folder = self._files.attempt(self._run_id, self._attempt)
        folder.mkdir(parents=True, exist_ok=True)
        if not self._written(self._name_process):
            return
        self._kills_seen = self._kills = oom_kills()
        order = {"run_id": self._run_id, "attempt": self._attempt, "log": str(folder / "log.txt")}
        self._trainer.begin(order)
        beat = time.monotonic()
        while not self._trainer.wait(WATCH_SECONDS):
            now = time.monotonic()
            if self._stopping.is_set():
                self._end()
                break
            if now - beat < HEARTBEAT_SECONDS:
                continue
            # Of a pause of our own (SIGSTOP, a suspended machine) only a beat counts: the trainer may have slept too.
            self._listen(min(now - beat, 2 * HEARTBEAT_SECONDS))
            beat = now
            try:
                phase = self._heartbeat(now)
            except OperationalError as error:
                log.warning("the database does not answer (%s); the trainer goes on", error)
                continue
            if phase in ("testing", "exporting"):
                nearly()
        code = self._trainer.wait_code()
        # Since the trainer was heard: an older one was of another process.
        self._out_of_memory = code == -signal.SIGKILL and oom_kills() > self._kills
        self._written(lambda: self.judge(code))

    def _name_process(self) -> None:
        with self._database.write() as session:
            process = self._trainer.pid, self._trainer.started
            attempts.set_process(session, self._run_id, self._attempt, *process, time.time())

    def _listen(self, seconds: float) -> None:
        """Counts for how long the trainer has not shown that it lives; ends it if that is too long."""
        before, self._kills_seen = self._kills_seen, oom_kills()
        if self._trainer.heard():
            self._unheard, self._heard, self._kills = 0.0, True, before
            return
        self._unheard += seconds
        if self._unheard < (self._patience if self._heard else START_SECONDS):
            return
        if not self._trainer.frozen():
            what = (
                f"The trainer hung: it showed no sign of life for {self._unheard:.0f} seconds and was ended."
            )
            self._error = {"kind": "bug", "message": f"{what} The run's log may say what it did last."}
        log.warning("run %s has not been heard of for %.0f s; it is ended", self._run_id, self._unheard)
        self._trainer.kill()

    def _heartbeat(self, now: float) -> str:
        """Renews the lease; looks whether the user has cancelled. Returns the run's phase."""
        silent = self._heard and self._unheard > TOLD_SECONDS
        with self._database.write() as session:
            run = runs.get(session, self._run_id)
            if run.attempt == self._attempt and run.state != "running":
                return run.phase  # the trainer has just written its end
            told = Batch()
            if silent:
                self._phase = self._phase or run.phase
                told.progress["phase"] = f"{runs.SILENT} for {self._unheard:.0f} s"
            elif self._phase:
                told.progress["phase"], self._phase = self._phase, ""
            wish = attempts.record(session, self._run_id, self._attempt, told, time.time())
            phase = run.phase
        if wish == "cancel":
            self._cancelled_at = self._cancelled_at or now
            if silent or now - self._cancelled_at > CANCEL_GRACE_SECONDS:
                self._forced = True
                self._end()
        return phase

    def _end(self) -> None:
        """A checkpoint, if the trainer manages one in time."""
        self._trainer.terminate()
        if not self._trainer.wait(TERMINATE_GRACE_SECONDS):
            self._trainer.kill()

    def judge(self, code: int) -> None:
        """Writes what the trainer's end means, unless it has written its end itself."""
        now, mine = time.time(), (self._run_id, self._attempt)
        with self._database.write() as session:
            run = runs.get(session, self._run_id)
            if run.attempt != self._attempt or run.state != "running":
                return
            if run.cancel_requested and (self._forced or code not in OUTSIDE):
                attempts.finish(session, *mine, "cancelled", now)
            elif self._takes_fewer(code):
                reason = f"{FULL if self._out_of_memory else 'Memory ran out.'} The run goes on with half as many rows at a time."
                attempts.release(session, *mine, reason, now)
            elif error := self._fault(code):
                attempts.fail_or_retry(session, *mine, error, final=code == EXIT_MEMORY, now=now)
            else:
                attempts.release(session, *mine, _not_its_fault(code), now)

    def _takes_fewer(self, code: int) -> bool:
        """Whether memory ran out and the next attempt can, and will, take fewer rows at a time."""
        if code == EXIT_FEWER:
            return True  # the trainer has left the mark
        plan = self._files.run(self._run_id) / "plan.json"
        if not self._out_of_memory or not plan.exists() or read_json(plan)["micro_batch"] == 1:
            return False
        plan.with_name(MEMORY_FULL).touch()
        return True

    def _fault(self, code: int) -> dict[str, Any] | None:
        """The error of an end that the run has brought about itself."""
        if self._error is not None:
            return self._error
        if self._out_of_memory or code == EXIT_MEMORY:
            what = FULL if self._out_of_memory else "The memory is too small."
            message = f"{what} Use a smaller batch size or a shorter maximum length."
            return {"kind": "memory", "message": message}
        if code in (EXIT_LOCKED, EXIT_DATABASE) or code in OUTSIDE:
            return None
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        message = f"The trainer process ended {how} before the run was finished. The run's log may say why."
        return {"kind": "bug", "message": message}

    def _written(self, write: Callable[[], None]) -> bool:
        """Tries until the database takes it; False if the worker stops before: the lease will run out."""
        while True:
            try:
                write()
                return True
            except OperationalError as error:
                log.warning("run %s: the database can't be written now (%s)", self._run_id, error)
                if self._stopping.wait(WATCH_SECONDS):
                    return False


FULL = "The system ran out of memory and ended the trainer."
OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


def _not_its_fault(code: int) -> str:
    if code == EXIT_LOCKED:
        return "An earlier trainer of this run has not ended yet; the run waits for it."
    if code == EXIT_DATABASE:
        return "The database could not be written; the run goes on from its last checkpoint."
    return "The trainer was stopped from outside; the run goes on from its last checkpoint."
