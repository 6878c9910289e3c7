"""When checkpoints of a run are written, and how a later attempt goes on from the newest one."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worker import checkpoints
from worker.disk import disk_full, read_only
from worker.loop import Evaluated, Event, Place, Step
from worker.optim import Group

EVERY_SECONDS = 60.0
COST = 1 / 40  # of the training's time at most, where the interval is not chosen


class Keeper:
    """The checkpoints of one run, for one attempt.

    `best`: where this attempt keeps its best weights. `seconds`: the interval, 0 for each step, None for a minute or more: so
    long that writing takes a fortieth of the time at most. `warn` gets a sentence for a checkpoint that can't be written or read.
    """

    def __init__(
        self,
        root: Path,
        best: Path,
        seconds: float | None,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._best, self._seconds = root, best, seconds
        self._warn, self._clock = warn, clock
        self._saved_at = clock()
        self._took = 0.0
        self.place = Place()

    def begin(self, groups: Sequence[Group], first: bool = True) -> dict[str, Any] | None:
        """Puts the newest whole checkpoint into the parameters of `groups`, the best weights of its time in their place, and sets
        `place`; returns its facts. None: there is none, the training begins. `first`: of the processes that train together;
        each of them reads the checkpoint, and this one keeps what the others don't need."""
        found, faults = checkpoints.newest(self._root)
        for fault in faults:
            self._warn(fault)
        if found is None:
            return None
        self.place = checkpoints.restore(found, groups)
        if found.best is not None and first:
            shutil.copyfile(found.best, self._best.with_suffix(".part"))
            os.replace(self._best.with_suffix(".part"), self._best)
        self._saved_at = self._clock()
        return found.facts

    def due(self) -> bool:
        """Whether the interval has passed."""
        interval = max(EVERY_SECONDS, self._took / COST) if self._seconds is None else self._seconds
        return self._clock() - self._saved_at >= interval

    def save(self, facts: dict[str, Any]) -> bool:
        """Writes a checkpoint; a disk that does not take it is told and does not end the training. Returns whether it is there."""
        began = self._clock()
        best = self._best if self._best.exists() else None
        try:
            checkpoints.save(self._root, self.place, best, facts)
        except Exception as error:
            if disk_full(error):
                why, advice = "The disk is too full", "Free some space."
            elif read_only(error):
                why, advice = "The data folder has become read-only", "Make it writable again."
            else:
                raise
            self._warn(
                f"{why}, so there is no checkpoint of step {self.place.step}; the training goes on without it. {advice}"
            )
            return False
        finally:
            self._saved_at = self._clock()
            self._took = self._saved_at - began
        return True

    def any(self) -> bool:
        """Whether an attempt has written one."""
        return self._root.is_dir()

    def thin(self) -> None:
        """Keeps only the newest: the run is over, and may be tried again."""
        checkpoints.thin(self._root)

    def lend(self) -> None:
        """Of a process that is not the first: its part in the first one's `save`."""
        checkpoints.lend(self.place)

    def discard(self) -> None:
        """Removes all of them: the run is over."""
        shutil.rmtree(self._root, ignore_errors=True)


def safe(event: Event) -> bool:
    """Whether the loop stands at a place that can be kept."""
    return isinstance(event, Evaluated) or (isinstance(event, Step) and not event.judged)
