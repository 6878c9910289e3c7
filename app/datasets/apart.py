"""Reading in a process of its own: python -m app.datasets.apart, asked on stdin.

A few kilobytes of Parquet may say that one cell is a list of a billion numbers, and pyarrow makes it before anybody can
look at it; a workbook has its texts in one list, a line of JSON has millions of small values. Here that takes the memory
which this process may have and no more, and what ends it leaves the server alone.
"""

import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from app.core.errors import Invalid
from app.datasets import signatures
from app.datasets.options import ReadOptions
from app.datasets.packed import Member, unpacked_size
from app.datasets.rows import PART_FILE

if TYPE_CHECKING:
    from app.datasets.ingest import Ingested

MEMORY = 2 * 2**30
# Of JSON each byte may become fifty in memory; XML may say its entities a hundred times.
_SMALL = 2**20
_SMALL_WORKBOOK = 2**18
_TICK_SECONDS = 0.5
GONE = 3  # the exit status when who asked has gone
_ROOT = Path(__file__).resolve().parents[2]


def is_wanted(members: Sequence[Member]) -> bool:
    """Whether one of them may take much memory: Parquet, a workbook that is not small, a text that is not.

    What is small is read before a process has begun.
    """
    return any(_may_be_large(member.path) for member in members)


def _may_be_large(path: Path) -> bool:
    with path.open("rb") as file:
        kind = signatures.kind_of(file.read(16))
    if kind == "zip":
        return unpacked_size(path) > _SMALL_WORKBOOK
    return kind == "parquet" or path.stat().st_size > _SMALL


def read(
    members: Sequence[Member],
    folder: Path,
    options: ReadOptions,
    progress: Callable[[int], None],
    untagged: bool,
) -> "Ingested":
    """As ingest.read_members, with its errors; and Invalid for what takes more than MEMORY."""
    from app.datasets.ingest import Ingested

    asked = {
        "members": [[str(member.path), member.name, member.part] for member in members],
        "folder": str(folder),
        "options": options.as_dict(),
        "untagged": untagged,
        "memory": MEMORY,
    }
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-m", "app.datasets.apart"],
            stdin=subprocess.PIPE,  # closes when we die, however we die
            stdout=subprocess.PIPE,
            stderr=errors,
            # Arrow's own allocator keeps what it has had.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
            cwd=_ROOT,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.flush()
            done = 0
            for line in _lines(process.stdout):
                if line is None:
                    progress(done)  # a long silence must not keep a data set from being deleted
                    continue
                told = json.loads(line)
                if "read" in told:
                    done = told["read"]
                    progress(done)
                elif "done" in told:
                    return Ingested(**told["done"])
                elif "refused" in told:
                    raise Invalid(**told["refused"])
                else:
                    raise OSError(*told["system"])
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            (folder / PART_FILE).unlink(missing_ok=True)
        errors.seek(0)
        if code > 0:
            raise RuntimeError(
                f"reading ended with code {code}: {errors.read()[-4000:].decode(errors='replace')}"
            )
    raise too_much()


def _lines(told: IO[bytes]) -> Iterator[bytes | None]:
    """Each line as it comes, and None when there was none for a while."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(told, selectors.EVENT_READ)
        begun = b""
        while True:
            if not waiting.select(_TICK_SECONDS):
                yield None
            elif piece := os.read(told.fileno(), 2**16):
                *whole, begun = (begun + piece).split(b"\n")
                yield from whole
            else:
                return


def too_much(row: int | None = None) -> Invalid:
    """`row`: where reading needed more memory than it may have."""
    where = f"row {row:,}" if row else "the file"
    return Invalid(
        f"Reading {where} takes too much memory, or it is damaged. Save the file again with smaller "
        "cells (of Parquet, with smaller row groups too), or as CSV.",
        [{"where": where, "message": "takes too much memory"}] if row else [],
        kind="file",
    )


def end_with_asker() -> None:
    """Ends this process when its stdin closes."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(GONE)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    end_with_asker()
    with contextlib.suppress(ValueError, OSError):  # a system without that limit
        resource.setrlimit(resource.RLIMIT_DATA, (asked["memory"], resource.RLIM_INFINITY))
    with contextlib.suppress(
        OSError
    ):  # a machine with less memory than that: Linux ends this process, and no other
        Path("/proc/self/oom_score_adj").write_text("1000")
    from app.datasets.ingest import read_members

    try:
        found = read_members(
            [Member(Path(path), name, part) for path, name, part in asked["members"]],
            Path(asked["folder"]),
            ReadOptions.from_dict(asked["options"]),
            lambda done: _say(read=done),
            asked["untagged"],
        )
        _say(done=asdict(found))
    except Invalid as error:
        _say(refused=error.as_dict())
    except MemoryError:
        _say(refused=too_much().as_dict())
    except OSError as error:
        _say(system=[error.errno, str(error.strerror or error)])


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
