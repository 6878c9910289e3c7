"""What a trainer leaves in its attempt's log when it is ended from within."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_of_the_interpreter_says_where_it_was(number: int, tmp_path: Path) -> None:
    log = tmp_path / "attempt-1" / "log.txt"
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom worker.trainer import _log_to\n"
        "def deep_inside() -> None:\n    os.kill(os.getpid(), int(sys.argv[2]))\n"
        "_log_to(Path(sys.argv[1]))\ndeep_inside()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(log), str(int(number))], cwd=Path(__file__).parents[2]
    )
    assert done.returncode == -number  # still what the supervisor judges by
    assert "Fatal Python error" in log.read_text(encoding="utf-8")
    assert "in deep_inside" in log.read_text(encoding="utf-8")
