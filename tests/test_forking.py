"""A quick start gives what a real one gives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(params=["quick", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "real":
        request.getfixturevalue("real_starts")
    return str(request.param)


def start(*told: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "worker.trainer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=told,
    )


def descriptor(pid: int | str, number: int) -> str:
    """What it stands for."""
    return os.readlink(f"/proc/{pid}/fd/{number}")  # noqa: PTH115


@pytest.mark.skipif(sys.platform != "linux", reason="only there does anything start quickly")
def test_a_process_is_ours_has_its_own_session_and_what_it_was_given_and_ends_with_its_pipe_or_by_a_kill(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours, its = os.pipe()
    given = [its, *(os.dup(its) for _ in range(9))]  # whatever their numbers are to the server
    try:
        one, two = start(*given), start(*given)
        assert ("tests.forking" in Path(f"/proc/{one.pid}/cmdline").read_text()) == (kind == "quick")
        assert one.pid != two.pid
        assert os.getsid(one.pid) == os.getpgid(one.pid) == one.pid
        assert f"PPid:\t{os.getpid()}\n" in Path(f"/proc/{one.pid}/status").read_text()
        assert Path(f"/proc/{one.pid}/cwd").readlink() == tmp_path
        assert descriptor(one.pid, 0) != descriptor(two.pid, 0)
        assert descriptor(one.pid, 1) == os.devnull
        assert {descriptor(one.pid, fd) for fd in given} == {descriptor("self", its)}
        assert one.poll() is None
        for process in (one, two):
            assert process.stdin is not None
        os.killpg(two.pid, signal.SIGSTOP)
        until(lambda: "\nState:\tT" in Path(f"/proc/{two.pid}/status").read_text(), "the freeze")
        os.killpg(two.pid, signal.SIGKILL)
        assert two.wait() == -signal.SIGKILL
        one.stdin.close()  # type: ignore[union-attr]
        assert one.wait() == 0
        two.stdin.close()  # type: ignore[union-attr]
    finally:
        for fd in (ours, *given):
            os.close(fd)
