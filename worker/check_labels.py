"""The process that looks for wrong labels in the data of one finished run: `python -m worker.check_labels RUN_ID ATTEMPT`.

worker/label_search.py finds them; here its progress is told, and the suspects are written aside and renamed. Nothing of the run is
changed.
"""

import logging
import os
import sys
import threading
import time

from sqlalchemy.exc import OperationalError

from app.core import label_checks
from app.core.errors import HeadstartError, NoSpace
from app.core.settings import Settings
from app.core.side_jobs import LostJob
from app.tasks import suspects
from worker.label_search import LabelSearch
from worker.processes import die_with_parent

log = logging.getLogger("worker.check_labels")

NICENESS = 10  # a training that goes on beside it comes first
TELL_SECONDS = 0.5


class Attempt:
    """One attempt for one run."""

    def __init__(self, settings: Settings, run_id: str, attempt: int) -> None:
        self.run_id, self.attempt = run_id, attempt
        self.searching = LabelSearch(settings, run_id)
        self.database, self.files, self.said = (
            self.searching.database,
            self.searching.files,
            self.searching.said,
        )

    def run(self) -> None:
        """Does it, and writes how it ended. Raises LostJob."""
        state, error = "succeeded", None
        try:
            found, summary = self.searching.search()
            self.tell()  # the fence: whoever lost the search does not replace what was found
            suspects.write(self.files.suspects(self.run_id), found, summary)
        except HeadstartError as fault:
            state, error = "failed", fault.as_dict()
        except LostJob:
            raise
        except Exception as fault:
            log.exception("the search failed")
            state, error = "failed", _told(fault).as_dict()
        with self.database.write() as session:
            label_checks.finish(session, self.run_id, self.attempt, state, time.time(), error)

    # -- telling, from another thread -------------------------------------------------------------------------

    def tell(self) -> bool:
        """Progress to the database; returns whether to stop. Raises LostJob."""
        with self.database.write() as session:
            return label_checks.record(
                session,
                self.run_id,
                self.attempt,
                time.time(),
                phase=self.said.phase,
                progress=self.said.progress,
            )

    def keep_telling(self) -> None:
        """Until the process ends; ends it as soon as the user cancels, whatever it computes."""
        while True:
            time.sleep(TELL_SECONDS)
            try:
                if self.tell():
                    with self.database.write() as session:
                        label_checks.finish(session, self.run_id, self.attempt, "cancelled", time.time())
                    os._exit(0)
            except LostJob:
                os._exit(0)
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)


def _told(error: Exception) -> HeadstartError:
    from worker.disk import disk_full
    from worker.memory import memory_full

    if memory_full(error):
        return HeadstartError("The memory is too small to look for wrong labels.", kind="memory")
    if disk_full(error):
        return NoSpace("The disk ran full. Free some space and try again.")
    return HeadstartError(f"Headstart met an unexpected {type(error).__name__}: {str(error)[:300]}")


def main() -> None:
    """Ends when its standard input closes: whoever started it is gone, or wants it to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(NICENESS)
    threading.Thread(target=die_with_parent, name="lifeline", daemon=True).start()
    attempt = Attempt(Settings(), sys.argv[1], int(sys.argv[2]))
    threading.Thread(target=attempt.keep_telling, name="telling", daemon=True).start()
    try:
        attempt.run()
    except LostJob:
        log.warning("the search belongs to another attempt; nothing more is written")
    finally:
        path = attempt.files.suspects(attempt.run_id)
        path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    logging.shutdown()
    os._exit(0)  # tearing torch down takes two seconds


if __name__ == "__main__":
    main()
