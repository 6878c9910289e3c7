"""`python -m worker.helper`: one of several processes that train a run together, and not the first of them.

It reads and encodes the same rows, takes its share of each step, and records, evaluates and saves nothing.
"""

import json
import os
import sys
import threading
import traceback
from pathlib import Path

import torch

from app.core import runs
from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from worker.attempt import Attempt
from worker.distributed import Meeting
from worker.finetune import Finetune
from worker.memory import TooManyRows, memory_full
from worker.processes import EXIT_FEWER, EXIT_MEMORY, die_with_parent
from worker.recorder import Recorder
from worker.trainer import import_ahead

# So long the trainer, which probably meets the same error, has time to tell it.
ERROR_SECONDS = 10.0


class Mute(Recorder):
    """What there is to record is recorded by the first process."""

    def points(self, *points: object) -> None: ...

    def log(self, level: str, message: str) -> None: ...

    def samples(self, step: int, epoch: float, items: list[dict[str, str]]) -> None: ...

    def progress(self, **columns: object) -> None: ...

    def flush(self, everything: bool = True) -> None: ...

    def confirm(self) -> None: ...


def main() -> None:
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=die_with_parent, name="lifeline", daemon=True).start()
    import_ahead()
    meeting = Meeting(order["rank"], order["world"], Path(order["file"]))
    if torch.cuda.is_available():
        torch.cuda.set_device(meeting.rank)  # untested on several GPUs
    try:
        help_with(Settings(), order["run_id"], order["attempt"], meeting)
    except HeadstartError:
        pass  # the first process meets it too, and tells it
    except TooManyRows:
        os._exit(EXIT_FEWER)
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        threading.Event().wait(ERROR_SECONDS)
        os._exit(EXIT_MEMORY if memory_full(error) else 1)
    os._exit(0)  # the process group's threads would make an ordinary end abort


def help_with(settings: Settings, run_id: str, attempt: int, meeting: Meeting) -> None:
    """This process's part of an attempt."""
    database, files = Database(settings.database), Files(settings.files_root)
    with database.read() as session:
        spec = RunSpec.model_validate(runs.get(session, run_id).spec)
    recorder = Mute(database, run_id, attempt)
    Finetune(Attempt(settings, files, database, recorder, run_id, attempt, spec, meeting)).help()


if __name__ == "__main__":
    main()
