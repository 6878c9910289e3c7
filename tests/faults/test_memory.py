"""The kernel ends a trainer for lack of memory: proven by the kernel's own count, and the next attempt takes half as many rows at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core import events
from app.core.files import new_id, read_json
from tests.faults.conftest import LONG, Faulty
from tests.waiting import until

pytestmark = pytest.mark.slow
# cgroups of the old and of the new kind
LIMITS = {"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"}

Squeeze = Callable[[int], None]


@pytest.fixture
def squeeze() -> Iterator[Squeeze]:
    """Puts a process, by its id, where it gets no further memory."""
    for root, limit in LIMITS.items():
        group = Path(root) / f"headstart-test-{new_id()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            break
        group.rmdir()
    else:
        pytest.skip("no group of processes with a limit of memory can be made here")

    def put(pid: int) -> None:
        (group / limit).write_text("4096")
        (group / "cgroup.procs").write_text(str(pid))

    yield put
    until(lambda: not (group / "cgroup.procs").read_text(), "the end of the processes")
    group.rmdir()


def test_a_trainer_that_the_kernel_ends_for_lack_of_memory_goes_on_with_half_as_many_rows_at_a_time(
    folder: Faulty, squeeze: Squeeze
) -> None:
    run_id = folder.runs.launch(**{**LONG, "epochs": 100})
    watching = folder.in_background(run_id)
    pid = folder.kept(run_id).pid
    assert pid is not None
    squeeze(pid)
    watching.join()
    run = folder.runs.read(run_id)
    assert (run.state, run.attempt, run.failures) == ("queued", 1, 0)
    assert "The system ran out of memory and ended the trainer" in folder.runs.said(run)

    folder.runs.supervisor.supervise(run_id)
    run = folder.runs.read(run_id)
    assert run.attempt == 2
    assert read_json(folder.files.run(run_id) / "plan.json")["micro_batch"] == LONG["batch_size"] // 2
    assert "16 rows at a time; now it is 8" in folder.runs.said(run)
    with folder.database.read() as session:
        (told,) = events.inexact(session, run_id)  # what the page says
    assert "no longer exactly repeatable" in told
    assert folder.told(run_id).sha256 is not None
