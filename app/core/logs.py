"""The logs of the processes that stay: people read a terminal, programs read HOME/logs/NAME.log.

In the file each line is a JSON object: time, level, logger, message, pid, and traceback where there is one. What is not
logged but printed (a crash of the interpreter, a library's banner) stands between them as it is. A file that has grown large
becomes NAME.log.1, the oldest of them goes: a process that runs for years fills no disk.

An attempt of a run has a log of its own, for people: runs/ID/attempt-N/log.txt (worker/trainer.py).
"""

import contextlib
import json
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from app.core.clock import rfc3339

LOG_BYTES = 10 * 2**20
KEPT = 3
FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to(path: Path, level: int = logging.INFO) -> None:
    """All that this process logs goes to `path`, and in words to standard error unless that is `path` itself."""
    path.parent.mkdir(exist_ok=True)
    handlers: list[logging.Handler] = [_Rotated(path)]
    if not _same(sys.stderr.fileno(), path):
        spoken = logging.StreamHandler(sys.stderr)
        spoken.setFormatter(logging.Formatter(FOR_PEOPLE))
        handlers.append(spoken)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(True)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # lists itself at every migration


def open_log(path: Path) -> IO[bytes]:
    """`path` for the output of a child, to append to; what has grown large is put aside first."""
    path.parent.mkdir(exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab")


class Lines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info and record.exc_info[0] is not None:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)


class _Rotated(RotatingFileHandler):
    """Takes standard output and error along to the new file where they went into the old one."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, maxBytes=LOG_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
        )
        self.setFormatter(Lines())

    def doRollover(self) -> None:  # noqa: N802
        mine = [number for number in (1, 2) if _same(number, Path(self.baseFilename))]
        super().doRollover()
        for number in mine:
            if self.stream is not None:
                os.dup2(self.stream.fileno(), number)


def _same(descriptor: int, path: Path) -> bool:
    """Whether the descriptor is open on this file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
