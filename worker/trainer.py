"""The trainer process: one attempt of one run. It joins the store and the loop; nothing else does.

    waiting (warm) ──order on stdin──▶ reading ▶ encoding ▶ training ▶ testing ▶ exporting ▶ its end is written

Expected errors (HeadstartError) end the run at once with their sentence; unexpected ones count as a failure of the
attempt, and the run is tried again until app.core.runs.MAX_FAILURES.
"""

import faulthandler
import fcntl
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app.core import attempts, runs
from app.core.attempts import LostRun
from app.core.db import Database, may_pass
from app.core.errors import HeadstartError, NoSpace
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from worker.attempt import Attempt, Cancelled, LaidAside
from worker.disk import disk_full, read_only
from worker.distributed import Helpers, processes
from worker.finetune import Finetune
from worker.loop import NonFiniteLoss
from worker.memory import TooManyRows, memory_full
from worker.processes import EXIT_DATABASE, EXIT_FEWER, EXIT_LOCKED, die_with_parent
from worker.pulse import Pulse
from worker.recorder import Recorder

log = logging.getLogger("worker.trainer")

LOCK_SECONDS = 30.0
# Nobody waits for a trainer's writes, and a whole training may be lost with the last one.
DATABASE_SECONDS = 60.0


def main() -> None:
    """Waits for one order ({"run_id", "attempt", "log", "pulse"}) on standard input, trains, exits."""
    import_ahead()
    line = sys.stdin.readline()
    if not line:
        return  # the supervisor has gone, or does not need us any more
    order = json.loads(line)
    _log_to(Path(order["log"]))
    threading.Thread(target=die_with_parent, name="lifeline", daemon=True).start()
    settings = Settings()
    code = 0
    try:
        train_run(settings, order["run_id"], order["attempt"], order["pulse"])
    except OperationalError as error:
        if not may_pass(error):
            raise
        log.error("the database can't be written (%s); the run is left to the next attempt", error)
        code = EXIT_DATABASE
    except TooManyRows as error:
        log.error("%s; the next attempt takes fewer", error)
        code = EXIT_FEWER
    logging.shutdown()
    os._exit(code)  # tearing torch down takes two seconds in which the next run would wait


def train_run(settings: Settings, run_id: str, attempt: int, pulse: int | None = None) -> None:
    """Trains one claimed attempt and writes how it ended, unless the run was lost. `pulse`: see worker/pulse.py."""
    database, files = Database(settings.database, DATABASE_SECONDS), Files(settings.files_root)
    with database.read() as session:
        run = runs.get(session, run_id)
        spec = RunSpec.model_validate(run.spec)
    recorder = Recorder(database, run_id, attempt)
    with Pulse(pulse, lambda: recorder.word_at), _run_lock(files.run(run_id) / "lock"):
        remove_stale(files.run(run_id))
        together = 1 if spec.converges else processes(settings)
        helpers = Helpers(settings, run_id, attempt, files.attempt(run_id, attempt), together)
        this = Attempt(settings, files, database, recorder, run_id, attempt, spec, helpers.meeting)
        finetune = Finetune(this)
        signal.signal(signal.SIGTERM, lambda *_: this.stopping.set())
        end = _End(this)
        with recorder, helpers:
            try:
                if run.cancel_requested:
                    raise Cancelled
                outcome = finetune.run()
                end.succeeded(**outcome)
                if end.written:  # not before: one killed while it measures goes on from its last checkpoint
                    this.keeper.discard()
            except LostRun:
                log.warning("the run belongs to another attempt; nothing more is written")
            except LaidAside:
                end.laid_aside(recorder.paused.is_set())
            except Cancelled:
                kept = finetune.keep_best()
                recorder.log("info", "Cancelled." + (" The best weights so far are kept." if kept else ""))
                end.cancelled()
                if end.written:
                    this.keeper.thin()
            except NonFiniteLoss as error:
                end.failed({"kind": "training", "message": str(error), "learning_rate": error.lower})
            except HeadstartError as error:
                end.failed(error.as_dict())
            except OperationalError as error:
                if may_pass(error):
                    raise
                end.crashed(error)
            except TooManyRows:
                raise
            except Exception as error:
                traceback.print_exc()
                helpers.end_with_the_dead()
                if memory_full(error):
                    message = "The memory is too small. Use a smaller batch size or a shorter maximum length."
                    end.failed({"kind": "memory", "message": message})
                elif disk_full(error):
                    message = "The disk ran full. Free some space and start the run again."
                    end.failed({"kind": NoSpace.kind, "message": message})
                elif read_only(error):
                    message = (
                        "The data folder has become read-only. Make it writable and start the run again."
                    )
                    end.failed({"kind": NoSpace.kind, "message": message})
                else:
                    end.crashed(error)


class _End:
    """How an attempt ends, each in one fenced transaction, behind all that it has recorded. A lost run is left alone."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt, self._recorder = attempt, attempt.recorder
        self._mine = attempt.run_id, attempt.number
        self.written = False

    def succeeded(self, **values: Any) -> None:
        self._write(lambda session: attempts.finish(session, *self._mine, "succeeded", time.time(), **values))

    def cancelled(self) -> None:
        self._write(lambda session: attempts.finish(session, *self._mine, "cancelled", time.time()))

    def laid_aside(self, paused: bool) -> None:
        """Paused by the user; or the worker stops, and the run goes back to the queue."""
        if paused:
            self._write(lambda session: attempts.pause(session, *self._mine, time.time()))
        else:
            reason = "The worker was stopped; the run goes on from its checkpoint."
            self._write(lambda session: attempts.release(session, *self._mine, reason, time.time()))

    def failed(self, error: dict[str, Any]) -> None:
        self._fail(error, final=True)

    def crashed(self, error: Exception) -> None:
        sentence = f"The trainer met an unexpected {type(error).__name__}: {str(error)[:300]}"
        fault = {"kind": "bug", "message": sentence, "traceback": traceback.format_exc()[-8000:]}
        self._fail(fault, final=False)

    def _fail(self, error: dict[str, Any], final: bool) -> None:
        self._recorder.log("error", error["message"])
        self._write(lambda session: attempts.fail_or_retry(session, *self._mine, error, final, time.time()))

    def _write(self, move: Callable[[Session], object]) -> None:
        def write() -> None:
            self._recorder.flush()
            with self._attempt.database.write() as session:
                move(session)

        try:
            self._recorder.patiently(write, self._attempt.stopping)
            self.written = True
        except LostRun:
            log.warning("the run belongs to another attempt; its end is not written")


def remove_stale(folder: Path) -> None:
    """Best weights of earlier attempts that were killed: a run begins anew, so nothing reads them."""
    for path in folder.glob("attempt-*/best.*"):
        path.unlink()


def import_ahead() -> None:
    """Imports what every run needs, so that a warm trainer reaches its first step within a second or two.

    What only the end of a run needs is imported as well, unless an order waits already.
    """
    import pyarrow.parquet  # noqa: F401
    import transformers.models.auto.modeling_auto
    import transformers.models.bert.modeling_bert  # noqa: F401

    # The first forward and backward of a process set up thread pools and kernels.
    layer = torch.nn.Linear(64, 64)
    layer(torch.zeros(8, 64)).sum().backward()
    if not select.select([sys.stdin], [], [], 0)[0]:
        import sklearn.feature_extraction.text
        import sklearn.linear_model
        import sklearn.metrics  # noqa: F401


@contextmanager
def _run_lock(path: Path) -> Iterator[None]:
    """Holds the run's lock file: two trainers never write into one run, whatever the database says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + LOCK_SECONDS
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    log.error("an earlier trainer of this run still holds its lock")
                    raise SystemExit(EXIT_LOCKED) from None
                time.sleep(0.1)
        yield


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    faulthandler.enable()  # the end by a signal says where it was


if __name__ == "__main__":
    main()
