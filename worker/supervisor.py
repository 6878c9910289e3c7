"""Claims a run, starts one trainer process for it, watches it, and says what its end means.

The supervisor never imports torch: a segfault, an out-of-memory kill or a stuck GPU context ends one trainer
and frees its memory. It keeps one warm trainer that has imported torch and transformers and waits for a run,
so that the first point appears within seconds.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

from sqlalchemy.exc import OperationalError

from app.broker import redis_client
from app.core import attempts, queue_order, runs
from app.core.attempts import Batch, LostRun
from app.core.db import Database
from app.core.errors import NotFound
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.queue import RUNS, Queue
from worker.processes import EXIT_LOCKED, MEMORY_FULL, Trainer, kill_group, oom_kills

log = logging.getLogger(__name__)

RECONCILE_SECONDS = 3.0
WATCH_SECONDS = 0.5
HEARTBEAT_SECONDS = 4.0
# After a cancel the trainer may finish its step and save its best weights; then it is ended by force.
CANCEL_GRACE_SECONDS = 60.0
TERMINATE_GRACE_SECONDS = 10.0


class Supervisor:
    """One per worker process. `supervise` is called from the pool's only thread."""

    def __init__(self, settings: Settings, keep_warm: bool = True) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.files = Files(settings.files_root)
        self.queue = Queue(settings)
        self._keeps_warm = keep_warm
        self._warm: Trainer | None = None
        self._current: tuple[str, int] | None = None  # run and attempt
        self._lock = threading.RLock()  # stop() runs in a signal handler
        self._stopping = threading.Event()

    def start(self) -> None:
        """Starts the warm trainer and the reconciler (called when the worker is ready)."""
        self._keep_warm()
        threading.Thread(target=self._reconcile_forever, name="reconciler", daemon=True).start()

    def stop(self) -> None:
        """Ends the trainers; running runs go back to the queue (called when the worker is told to stop)."""
        self._stopping.set()
        with self._lock:
            if self._warm is not None:
                self._warm.kill()
                self._warm = None

    def supervise(self, run_id: str | None = None) -> None:
        """Trains the run that is first in the queue, or `run_id` if it is free to be claimed; returns when its trainer has ended."""
        if self._stopping.is_set():
            return
        with self.database.write() as session:
            run_id = run_id or queue_order.next_id(session)
            if run_id is None:
                return
            before = session.get(Run, run_id)
            old = (before.pid, before.pid_started) if before else (None, None)
            attempt = attempts.claim(session, run_id, time.time())
        if attempt is None:
            return
        kill_group(*old)
        trainer = self._take()
        self._current = (run_id, attempt)
        try:
            self._watch(trainer, run_id, attempt)
        except (LostRun, NotFound):
            log.warning("attempt %s of run %s is no longer wanted", attempt, run_id)
        finally:
            self._current = None
            trainer.kill()
            self._keep_warm()

    def _watch(self, trainer: Trainer, run_id: str, attempt: int) -> None:
        kills_before = oom_kills()
        folder = self.files.attempt(run_id, attempt)
        folder.mkdir(parents=True, exist_ok=True)
        with self.database.write() as session:
            attempts.set_process(session, run_id, attempt, trainer.pid, trainer.started, time.time())
        trainer.begin({"run_id": run_id, "attempt": attempt, "log": str(folder / "log.txt")})
        heartbeat = 0.0
        cancelled_at: float | None = None
        while not trainer.wait(WATCH_SECONDS):
            now = time.monotonic()
            if self._stopping.is_set():
                trainer.terminate()
                if not trainer.wait(TERMINATE_GRACE_SECONDS):
                    trainer.kill()
                break
            if now - heartbeat < HEARTBEAT_SECONDS:
                continue
            heartbeat = now
            try:
                cancel, phase = self._heartbeat(run_id, attempt)
            except OperationalError as error:
                log.warning("the database does not answer (%s); the trainer goes on", error)
                continue
            if cancel:
                cancelled_at = cancelled_at or now
                if now - cancelled_at > CANCEL_GRACE_SECONDS:
                    trainer.terminate()
                    if not trainer.wait(TERMINATE_GRACE_SECONDS):
                        trainer.kill()
            elif phase in ("testing", "exporting"):
                self._keep_warm()  # the next run finds its process ready; during training it would only disturb
        code, out_of_memory = trainer.wait_code(), oom_kills() > kills_before
        while True:
            try:
                return self._judge(run_id, attempt, code, out_of_memory)
            except OperationalError as error:
                log.warning("the end of run %s can't be written yet (%s)", run_id, error)
                if self._stopping.wait(WATCH_SECONDS):
                    return None  # its lease will run out

    def _heartbeat(self, run_id: str, attempt: int) -> tuple[bool, str]:
        with self.database.write() as session:
            run = runs.get(session, run_id)
            if run.attempt == attempt and run.state != "running":
                return False, run.phase  # the trainer has just written its end
            wish = attempts.record(session, run_id, attempt, Batch(), time.time())
            return wish == "cancel", run.phase

    def _judge(self, run_id: str, attempt: int, code: int, out_of_memory: bool) -> None:
        """What the trainer's end means, unless it has written its end itself."""
        now = time.time()
        with self.database.write() as session:
            run = runs.get(session, run_id)
            if run.attempt != attempt or run.state != "running":
                return
            if run.cancel_requested:
                attempts.finish(session, run_id, attempt, "cancelled", now)
            elif code == -signal.SIGKILL and out_of_memory:
                error = {
                    "kind": "memory",
                    "message": "The system ran out of memory and ended the trainer. "
                    "Use a smaller batch size or a shorter maximum length.",
                }
                (self.files.run(run_id) / MEMORY_FULL).touch()  # the next attempt takes fewer rows at a time
                attempts.fail_or_retry(session, run_id, attempt, error, final=False, now=now)
            elif code == EXIT_LOCKED:
                reason = "An earlier trainer of this run has not ended yet; the run waits for it."
                attempts.release(session, run_id, attempt, reason, now)
            elif code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
                reason = "The trainer was stopped from outside; the run goes on from its last checkpoint."
                attempts.release(session, run_id, attempt, reason, now)
            else:
                how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
                error = {
                    "kind": "bug",
                    "message": f"The trainer process ended {how} before the run was finished. "
                    "The run's log may say why.",
                }
                attempts.fail_or_retry(session, run_id, attempt, error, final=False, now=now)

    def _take(self) -> Trainer:
        with self._lock:
            warm, self._warm = self._warm, None
        if warm is not None and warm.alive():
            return warm
        return Trainer.start(self.settings)

    def _keep_warm(self) -> None:
        with self._lock:
            if not self._keeps_warm or self._stopping.is_set():
                return
            if self._warm is not None and self._warm.alive():
                return
            self._warm = Trainer.start(self.settings)
            if self._stopping.is_set():  # the signal came in between, in this very thread
                self.stop()

    def _reconcile_forever(self) -> None:
        while not self._stopping.is_set():
            try:
                self.reconcile()
            except Exception:
                log.exception("reconciling failed; it is tried again")
            self._stopping.wait(RECONCILE_SECONDS)

    def reconcile(self) -> None:
        """Queues what a dead worker left running; sends messages again if queued runs have none."""
        with self.database.write() as session:
            # After a suspended laptop or a clock put forward, all leases have run out: ours is not lost.
            if current := self._current:
                with contextlib.suppress(LostRun):
                    attempts.record(session, *current, Batch(), time.time())
            waiting = attempts.reconcile(session, time.time())
        if waiting:
            with redis_client(self.settings) as client:
                messages: Any = client.llen(RUNS)
            if messages == 0:
                for run_id in waiting:
                    self.queue.wake(run_id)


def main() -> None:
    """`python -m worker.supervisor RUN_ID`: trains one queued run without a broker (headstart train).

    Stops on SIGTERM, and when its standard input closes: then who started it has gone.
    """
    logging.basicConfig(level=logging.WARNING)
    supervisor = Supervisor(Settings(), keep_warm=False)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.stop())
    signal.signal(signal.SIGINT, lambda *_: supervisor.stop())

    def stop_with_parent() -> None:
        while os.read(0, 4096):
            pass
        supervisor.stop()

    threading.Thread(target=stop_with_parent, name="lifeline", daemon=True).start()
    supervisor.supervise(sys.argv[1])
    supervisor.stop()


if __name__ == "__main__":
    main()
