"""Beside the predictor: takes files that wait to be predicted, one at a time, each in a process of its own.

A process of its own, so that "try it" never waits behind a long file, and that a file that fills the memory ends
only itself. The database is looked at twice a second: a file needs no message, and none can be lost.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time

from sqlalchemy.exc import OperationalError

from app.core import file_predictions
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 3.0


class FileJobs:
    """A thread that watches for queued files. `start` and `stop` are called by the worker process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database, self.files = Database(settings.database), Files(settings.files_root)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._forever, name="files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The process of a file that is being predicted ends with us; the file is taken up again later."""
        self._stopping.set()

    def _forever(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                while not self._stopping.is_set() and self.once():
                    pass
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)
            except Exception:
                log.exception("a file could not be predicted")

    def once(self) -> bool:
        """Predicts the next file, if there is one; returns whether there was."""
        with self.database.read() as session:
            if not file_predictions.waiting(session, time.time()):
                return False
        with self.database.write() as session:
            claimed = file_predictions.claim(session, time.time())
            if claimed is None:
                return False
            found, attempt = claimed
            file_id, run_id = found.id, found.run_id
        folder = self.files.predicted(run_id, file_id)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.txt").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.predict_file", file_id, str(attempt)],
                stdin=subprocess.PIPE,  # closes when we die, however we die
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.settings.environment()},
                start_new_session=True,
            )
        try:
            self._watch(process, file_id, attempt)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        return True

    def _watch(self, process: "subprocess.Popen[bytes]", file_id: str, attempt: int) -> None:
        """Renews the lease while the process works: a chunk of long texts may take longer than a lease."""
        while not self._stopping.is_set():
            try:
                process.wait(HEARTBEAT_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass
            try:
                with self.database.write() as session:
                    file_predictions.record(session, file_id, attempt, time.time())
            except file_predictions.LostFile:
                return  # deleted with its run, or over: the process ends by itself or is ended
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)
