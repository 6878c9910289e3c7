import os
from collections.abc import Iterator

import pytest

from tests.conftest import TurnedClock
from tests.waiting import until
from worker.pulse import WORD_SECONDS, Pulse


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """An end to read and one to write, neither of which blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    yield ends
    for end in ends:
        os.close(end)


def heard(end: int) -> bool:
    try:
        return bool(os.read(end, 2**16))
    except BlockingIOError:
        return False


def test_it_beats_by_itself(pipe: tuple[int, int], clock: TurnedClock) -> None:
    with Pulse(pipe[1], clock, clock):
        until(lambda: heard(pipe[0]), "a beat")


def test_a_main_thread_that_hangs_is_not_vouched_for(pipe: tuple[int, int], clock: TurnedClock) -> None:
    word_at = clock()
    pulse = Pulse(pipe[1], lambda: word_at, clock)
    clock.turn(WORD_SECONDS - 1)
    pulse.beat()
    assert heard(pipe[0])
    clock.turn(1)
    pulse.beat()
    assert not heard(pipe[0])


def test_nobody_who_listens_is_no_fault(pipe: tuple[int, int], clock: TurnedClock) -> None:
    pulse = Pulse(pipe[1], clock, clock)
    for _ in range(2**16 + 1):  # the pipe is full
        pulse.beat()
    Pulse(None, clock, clock).beat()
    assert heard(pipe[0])
