"""Claims a run, starts one trainer process for it, and has it watched (worker/watching.py); one run in each slot (worker/slots.py).

The supervisor never imports torch: a segfault, an out-of-memory kill or a stuck GPU context ends one trainer
and frees its memory. Each slot keeps a warm trainer, so that the first point appears within seconds.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

import redis
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app.broker import redis_client
from app.core import attempts, queue_order, workers
from app.core.attempts import Batch, LostRun
from app.core.db import Database
from app.core.errors import NotFound, Unavailable
from app.core.files import Files, new_id
from app.core.settings import Settings
from app.core.tables import Run, Worker
from app.queue import RUNS, Queue
from worker.processes import kill_group, pid_space, process_start
from worker.slots import Slot, slots
from worker.watching import UNHEARD_SECONDS, Watch

log = logging.getLogger(__name__)

RECONCILE_SECONDS = 3.0


class Supervisor:
    """One per worker process. `supervise` is called from the pool's threads, of which there is one for each slot."""

    def __init__(self, settings: Settings, keep_warm: bool = True, patience: float = UNHEARD_SECONDS) -> None:
        """`patience`: seconds that a trainer may be silent before it counts as hung."""
        self.settings = settings
        self._patience = patience
        self.database = Database(settings.database)
        self.files = Files(settings.files_root)
        self.queue = Queue(settings)
        self._keeps_warm = keep_warm
        self.slots = slots(settings)
        self._free = list(self.slots)
        self._lock = threading.RLock()  # stop() runs in a signal handler
        self._stopping = threading.Event()
        pid, now = os.getpid(), time.time()
        self._worker = Worker(
            id=new_id(),
            host=socket.gethostname(),
            pid=pid,
            pid_started=process_start(pid) or now,
            pid_space=pid_space(),
            slots=len(self.slots),
            started_at=now,
            heard_at=now,
        )

    def start(self) -> None:
        """Starts the warm trainers and the reconciler (called when the worker is ready)."""
        for slot in self.slots:
            self._keep_warm(slot)
        threading.Thread(target=self._reconcile_forever, name="reconciler", daemon=True).start()

    def stop(self) -> None:
        """Ends the trainers; running runs go back to the queue (called when the worker is told to stop)."""
        self._stopping.set()
        with self._lock:
            for slot in self.slots:
                slot.cool()

    def supervise(self, run_id: str | None = None) -> None:
        """Trains the run that is first in the queue, or `run_id` if it is free to be claimed; returns when its trainer has ended.

        Does nothing where no slot is free, or no run waits.
        """
        with self._lock:
            if self._stopping.is_set() or not self._free:
                return
            slot = self._free.pop(0)
        try:
            self._supervise(slot, run_id)
        finally:
            slot.current = None
            self._free.append(slot)

    def _supervise(self, slot: Slot, run_id: str | None) -> None:
        try:
            with self.database.write() as session:
                if run_id is None:
                    self._look_around(
                        session
                    )  # what a dead worker has left is taken up before what came later
                    run_id = queue_order.next_id(session)
                if run_id is None:
                    return
                before = session.get(Run, run_id)
                old = (before.pid, before.pid_started) if before else (None, None)
                attempt = attempts.claim(session, run_id, time.time(), self._worker.id)
        except OperationalError as error:
            log.warning("no run can be claimed now (%s); the reconciler sends the message again", error)
            return
        if attempt is None:
            return
        kill_group(*old)
        with self._lock:
            trainer = slot.take()
        slot.current = (run_id, attempt)
        watch = Watch(self.database, self.files, trainer, slot.current, self._stopping, self._patience)
        try:
            watch.until_its_end(lambda: self._keep_warm(slot))
        except (LostRun, NotFound):
            log.warning("attempt %s of run %s is no longer wanted", attempt, run_id)
        finally:
            trainer.kill()
            self._keep_warm(slot)

    def _keep_warm(self, slot: Slot) -> None:
        with self._lock:
            if not self._keeps_warm or self._stopping.is_set():
                return
            slot.keep_warm()
            if self._stopping.is_set():  # the signal came in between, in this very thread
                self.stop()

    def _reconcile_forever(self) -> None:
        while not self._stopping.is_set():
            try:
                self.reconcile()
            except Exception:
                log.exception("reconciling failed; it is tried again")
            self._stopping.wait(RECONCILE_SECONDS)
        with contextlib.suppress(OperationalError), self.database.write() as session:
            workers.leave(session, self._worker.id)

    def reconcile(self) -> None:
        """Says that we are there; queues what a dead worker left running; sends messages again if queued runs have none."""
        with self.database.write() as session:
            waiting = self._look_around(session)
        if waiting:
            self._wake(waiting)

    def _look_around(self, session: Session) -> list[str]:
        """Says that we are there, and queues what others left running; returns the ids of the queued runs."""
        now = time.time()
        gone = workers.beat(session, self._worker, now, _lives)
        # After a suspended laptop or a clock put forward, all leases have run out: ours are not lost.
        for slot in self.slots:
            if current := slot.current:
                with contextlib.suppress(LostRun):
                    attempts.record(session, *current, Batch(), now)
        return attempts.reconcile(session, now, gone)

    def _wake(self, waiting: list[str]) -> None:
        """Sends their messages again if there are none."""
        try:
            with redis_client(self.settings) as client:
                messages: Any = client.llen(RUNS)
            if messages == 0:
                for run_id in waiting:
                    self.queue.wake(run_id)
        except (redis.RedisError, Unavailable) as error:
            log.warning("the broker does not answer (%s); queued runs wait", error)


def _lives(pid: int, started: float) -> bool:
    found = process_start(pid)
    return found is not None and abs(found - started) < 0.05


def main() -> None:
    """`python -m worker.supervisor RUN_ID`: trains one queued run without a broker (headstart train).

    Stops on SIGTERM, and when its standard input closes: then who started it has gone.
    """
    logging.basicConfig(level=logging.WARNING)
    whole_machine = Settings().model_copy(update={"slots": 1})
    supervisor = Supervisor(whole_machine, keep_warm=False)
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
