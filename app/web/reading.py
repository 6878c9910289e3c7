"""Reads uploaded files in the background, one after the other, in one thread of the web process.

If the process dies the data set is still in state "reading", and the next start reads it again.
"""

import logging
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore

log = logging.getLogger("headstart.web")


class Reader:
    """A daemon thread, so that a big file never holds up the end of the process."""

    def __init__(self, datasets: "DatasetStore") -> None:
        self._datasets = datasets
        self._jobs: queue.SimpleQueue[tuple[str, threading.Event] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)

    def start(self) -> None:
        """Begins with what an earlier process left unread; removes what it left half uploaded."""
        self._datasets.sweep()
        for dataset_id in self._datasets.unread():
            self.submit(dataset_id)
        self._thread.start()

    def stop(self) -> None:
        self._jobs.put(None)

    def submit(self, dataset_id: str) -> threading.Event:
        """Queues a data set for reading; the event is set when it has been read (well or not).

        A file that is fetched first is read in a thread of its own: a slow host holds up nobody's upload.
        """
        done = threading.Event()
        if self._datasets.is_to_fetch(dataset_id):
            threading.Thread(target=self._read, args=(dataset_id, done), name="fetcher", daemon=True).start()
            return done
        self._jobs.put((dataset_id, done))
        return done

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._read(*job)

    def _read(self, dataset_id: str, done: threading.Event) -> None:
        try:
            self._datasets.read(dataset_id)
        except Exception:  # read() stores what is wrong with the data; this is a bug or a full disk
            log.exception("reading data set %s failed", dataset_id)
        finally:
            done.set()
