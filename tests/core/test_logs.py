"""Logs: JSON for programs in a bounded file, words for people on a terminal."""

import json
import subprocess
import sys
from pathlib import Path

from app.core import logs

ROOT = Path(__file__).parents[2]


def run(path: Path, code: str, into_log: bool = False) -> "subprocess.CompletedProcess[str]":
    """A process of its own: logging belongs to the whole of it."""
    script = f"import logging, sys, os\nfrom pathlib import Path\nfrom app.core import logs\n{code}"
    arguments = [sys.executable, "-c", script, str(path)]
    if not into_log:
        return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    with logs.open_log(path) as log:
        return subprocess.run(arguments, cwd=ROOT, stdout=log, stderr=log, text=True, check=True)


ONE = (
    "logs.log_to(Path(sys.argv[1]))\n"
    "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('here').exception('a %s\\nof two lines', 'word')"
)


def test_a_file_has_one_object_a_line_and_people_read_words(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    done = run(path, ONE)
    (line,) = path.read_text(encoding="utf-8").splitlines()
    found = json.loads(line)
    assert (found["level"], found["logger"], found["message"]) == ("error", "here", "a word\nof two lines")
    assert found["time"].endswith("Z")
    assert "ZeroDivisionError" in found["traceback"]
    assert "ERROR here: a word" in done.stderr
    assert "{" not in done.stderr.splitlines()[0]


def test_a_process_whose_output_is_the_log_does_not_say_it_twice(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    run(path, ONE, into_log=True)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_a_log_stays_bounded_and_what_is_printed_follows_it(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    code = (
        "logs.LOG_BYTES = 2000\nlogs.log_to(Path(sys.argv[1]))\n"
        "for number in range(200):\n    logging.info('line %s', number)\n"
        "print('the end', flush=True)"
    )
    run(path, code, into_log=True)
    files = sorted(one.name for one in path.parent.iterdir())
    assert files == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert all(one.stat().st_size <= 2000 for one in path.parent.iterdir())
    *lines, last = path.read_text(encoding="utf-8").splitlines()
    assert last == "the end"
    assert json.loads(lines[-1])["message"] == "line 199"


def test_a_large_output_of_earlier_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "trainer.log"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(logs.LOG_BYTES + 1)
    with logs.open_log(path) as log:
        log.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (path.parent / "trainer.log.1").stat().st_size == logs.LOG_BYTES + 1
