"""Between the loop and the database: a buffer that a thread of its own writes a few times a second.

The loop never waits for the database: one commit per point reaches only 441 points/s, and a locked database
would stall training. What could not be written stays in the buffer and is tried again.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import OperationalError

from app.core import attempts
from app.core.attempts import Batch, LostRun, Wish
from app.core.clock import Clock
from app.core.db import Database, may_pass
from app.core.events import PointValue
from app.core.runs import LEASE_SECONDS

log = logging.getLogger(__name__)

# A write costs two to four milliseconds whatever it holds: twice a second is half a percent of two cores.
FLUSH_SECONDS = 0.5
# Progress (step, speed, time left) is written this often: each write is an event that stays in the database.
PROGRESS_SECONDS = 1.0
# Without news the lease is still renewed this often.
IDLE_SECONDS = 3.0
# So long after a database that did not take the last words they are tried again.
AGAIN_SECONDS = 1.0


class Recorder:
    """Records for one attempt. Use as a context manager; leaving it writes what is left."""

    def __init__(
        self,
        database: Database,
        run_id: str,
        attempt: int,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._attempt = attempt
        self._clock = clock
        self._pending = Batch()
        self._flying: list[PointValue] = []  # taken, and not known to be written
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._written_at = 0.0
        self._progress_at = 0.0
        self.word_at = clock()  # when the main thread said something
        self._thread = threading.Thread(target=self._write_forever, name="recorder", daemon=True)
        self.cancelled = threading.Event()
        self.paused = threading.Event()
        self.lost = threading.Event()

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=30)

    def points(self, *points: PointValue) -> None:
        with self._lock:
            self._pending.points.extend(points)

    def unwritten(self) -> list[PointValue]:
        """The points that a kill would lose now: a checkpoint takes them along, so that a curve has no gap."""
        with self._lock:
            return [*self._flying, *self._pending.points]

    def log(self, level: str, message: str) -> None:
        """A line for the page's log and for the attempt's own log file. level: info, warning or error."""
        log.log(getattr(logging, level.upper()), "%s", message)
        with self._lock:
            self._pending.logs.append((self._clock(), level, message))

    def samples(self, step: int, epoch: float, items: list[dict[str, str]]) -> None:
        """What the model writes at this step: [{"prompt", "text", "reference"}], for the page."""
        with self._lock:
            self._pending.samples.append((self._clock(), {"step": step, "epoch": epoch, "items": items}))

    def progress(self, **columns: object) -> None:
        """New values of the run's columns: phase, step, steps, epoch, eta_seconds, …"""
        with self._lock:
            self._pending.progress.update(columns)

    def go_on(self, step: int, epoch: float, best_step: int | None) -> None:
        """Forgets what an earlier attempt told of the steps behind `step`, at once. Raises LostRun, OperationalError."""
        with self._writing, self._database.write() as session:
            attempts.go_on(session, self._run_id, self._attempt, step, epoch, best_step, self._clock())

    def confirm(self) -> None:
        """Called by the main thread again and again. Raises LostRun if the process was frozen meanwhile and the run is another's.

        After a silence of half a lease the database is asked before anything else is done. One that does not answer can't
        have given the run away either.
        """
        now = self._clock()
        silent, self.word_at = now - self.word_at, now
        if silent > LEASE_SECONDS / 2:
            try:
                self.flush()
            except OperationalError as error:
                log.warning("the database does not say whose the run is (%s)", error)

    def patiently(self, write: Callable[[], None], stopping: threading.Event) -> None:
        """Calls `write` until the database takes it: what a night has learned is not thrown away for a full disk.

        Raises what `write` raises; OperationalError only if the fault is ours, or once `stopping` is set.
        """
        while True:
            try:
                return write()
            except OperationalError as error:
                if not may_pass(error) or stopping.is_set():
                    raise
                log.warning("the database does not take it now (%s); it is tried again", error)
            stopping.wait(AGAIN_SECONDS)
            self.word_at = self._clock()

    def flush_soon(self) -> None:
        """Writes now instead of at the next tick: for the first point, and for what people wait for."""
        self._wake.set()

    def flush(self, everything: bool = True) -> None:
        """Writes what is pending, in this thread; not `everything`: progress may wait for its second.

        Raises LostRun, OperationalError.
        """
        # After a flush everything is in the database, also what the other thread had taken before.
        with self._writing:
            wish = self._write(self._take(everything))
        self._written_at = time.monotonic()
        if wish == "cancel":
            self.cancelled.set()
        (self.paused.set if wish == "pause" else self.paused.clear)()

    def _write(self, batch: Batch) -> Wish:
        try:
            with self._database.write() as session:
                wish = attempts.record(session, self._run_id, self._attempt, batch, self._clock())
            with self._lock:
                self._flying = []
            return wish
        except LostRun:
            self.lost.set()
            raise
        except Exception:
            with self._lock:  # keep the order: what failed comes before what is new
                batch.points.extend(self._pending.points)
                batch.logs.extend(self._pending.logs)
                batch.samples.extend(self._pending.samples)
                batch.progress |= self._pending.progress
                self._pending, self._flying = batch, []
            raise

    def _take(self, everything: bool) -> Batch:
        now = time.monotonic()
        with self._lock:
            batch, self._pending = self._pending, Batch()
            self._flying = batch.points
            young = now - self._progress_at < PROGRESS_SECONDS
            if young and not everything and "phase" not in batch.progress:
                self._pending.progress, batch.progress = batch.progress, {}
            elif batch.progress:
                self._progress_at = now
        return batch

    def _write_forever(self) -> None:
        while not self._closing:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            if self._pending or time.monotonic() - self._written_at > IDLE_SECONDS:
                self._try_flush()
            if self.lost.is_set():
                return
        for _ in range(5):
            if not self._pending or self._try_flush():
                return

    def _try_flush(self) -> bool:
        try:
            self.flush(everything=self._closing)
        except LostRun:
            return True
        except OperationalError as error:
            log.warning("the database does not take points now (%s); they are kept", error)
            return False
        return True
