"""A trainer shows that it lives: a byte now and then through a pipe to who watches it (worker/watching.py).

A process that is frozen shows nothing, nor does one whose main thread hangs: the thread that shows it asks when that one has
last said a word. In a long step or evaluation it says none for a while, so it has a long time for it.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

BEAT_SECONDS = 2.0
# The longest that the main thread may work on one thing without a word: a step, a batch of an evaluation, the download of a model.
WORD_SECONDS = 2 * 3600.0


class Pulse(AbstractContextManager["Pulse"]):
    """The trainer's end. Inside, a thread shows that the process lives as long as it says a word now and then."""

    def __init__(
        self, pipe: int | None, word_at: Callable[[], float], clock: Callable[[], float] = time.time
    ) -> None:
        """`pipe`: a file descriptor that does not block; None: nobody watches. `word_at`: when there was a word, by `clock`."""
        self._pipe, self._word_at, self._clock = pipe, word_at, clock
        self._over = threading.Event()

    def __enter__(self) -> "Pulse":
        threading.Thread(target=self._go_on, name="pulse", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def beat(self) -> None:
        if self._pipe is not None and self._clock() - self._word_at() < WORD_SECONDS:
            with contextlib.suppress(
                OSError
            ):  # full, because nobody has read for hours; or nobody does any more
                os.write(self._pipe, b".")

    def _go_on(self) -> None:
        while not self._over.is_set():
            self.beat()
            self._over.wait(BEAT_SECONDS)
