"""The state machine of runs against any sequence of moves: what users, workers, trainers and the clock can do to a run.

Hypothesis chooses the moves and looks for the shortest sequence that breaks a promise:

- a run is never trained twice at once, and who lost it writes nothing;
- none is lost: whatever died, it is over, paused, in the queue, or the reconciler puts it back;
- none is resurrected: a final state is left only by the user's retry;
- attempt numbers only grow; the curve has no gap, no doubled step, and nothing of an attempt that was given up.

The database is real; a trainer here is what the fence knows of one: an attempt number, a buffer of points, checkpoints on a disk that
survives it, and the lock on the run's folder.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete
from sqlmodel import Session, select

from app.core import attempts, events, queue_order, runs
from app.core.attempts import Batch, LostRun, Wish
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.events import PointValue
from app.core.runs import LEASE_SECONDS
from app.core.spec import RunSpec
from app.core.tables import FINAL_STATES, Run

STEPS = 9
# Every change of state that one move may bring about; a retry alone leaves a final one.
ALLOWED = {
    ("queued", "running"),
    ("queued", "paused"),
    ("queued", "cancelled"),
    ("paused", "queued"),
    ("paused", "cancelled"),
    ("running", "queued"),
    ("running", "paused"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
}
RETRY = {("failed", "queued"), ("cancelled", "queued")}
picks = st.integers(0, 10**6)


@dataclass
class Checkpoint:
    """`told`: whether its step came into the database. `lineage`: the attempt that trained each step up to it."""

    step: int = 0
    lineage: dict[int, int] = field(default_factory=dict)
    unwritten: dict[int, int] = field(default_factory=dict)


@dataclass
class Trainer:
    """A process that believes that it has a run. `lineage`: the attempt that trained each step of its weights."""

    run_id: str
    attempt: int
    begun: bool = False
    lineage: dict[int, int] = field(default_factory=dict)
    buffer: dict[int, int] = field(default_factory=dict)  # step → the attempt that trained it
    wish: Wish = "go on"

    @property
    def step(self) -> int:
        return len(self.lineage)


class RunMachine(RuleBasedStateMachine):
    database: ClassVar[Database]
    spec: ClassVar[RunSpec]

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.ids: list[str] = []
        self.gone: list[str] = []
        self.trainers: list[Trainer] = []  # all that live, those that lost their run among them
        self.disk: dict[str, Checkpoint] = {}
        self.states: dict[str, str] = {}
        self.claimed: dict[str, int] = {}  # the last attempt number that was given
        self.retried = False

    def teardown(self) -> None:
        try:
            self._nothing_is_lost()
        finally:
            with self.database.write() as session:
                session.execute(delete(Run))

    # -- users ----------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.ids) < 4)
    @rule()
    def create(self) -> None:
        run_id = f"run{len(self.ids) + len(self.gone):09d}"
        with self._write() as session:
            runs.create(session, run_id, self.spec, "0" * 64, self.now, STEPS)
        self.ids.append(run_id)
        self.states[run_id] = "queued"

    @precondition(lambda self: self.ids)
    @rule(
        pick=picks,
        move=st.sampled_from(("cancel", "pause", "resume", "retry", "remove", "cancel", "pause", "resume")),
    )
    def ask(self, pick: int, move: str) -> None:
        """A move in the wrong state is refused; it changes nothing."""
        run_id = self.ids[pick % len(self.ids)]
        moves = {
            "cancel": runs.request_cancel,
            "pause": runs.request_pause,
            "resume": runs.request_resume,
            "retry": runs.request_retry,
        }
        try:
            with self._write() as session:
                if move == "remove":
                    runs.remove(session, run_id)
                else:
                    moves[move](session, run_id, self.now)
        except Conflict:
            return
        self.retried = move == "retry"
        if move == "remove":
            assert self.states[run_id] in FINAL_STATES
            self.ids.remove(run_id)
            self.gone.append(run_id)
            self.disk.pop(run_id, None)

    @precondition(lambda self: self.ids)
    @rule(pick=picks, to=st.sampled_from(queue_order.MOVES))
    def move_in_the_queue(self, pick: int, to: queue_order.Move) -> None:
        run_id = self.ids[pick % len(self.ids)]
        with self.database.write() as session:
            before = queue_order.queued_ids(session)
            try:
                queue_order.move(session, run_id, to, self.now)
            except Conflict:
                return
            after = queue_order.queued_ids(session)
            winding_up = [one for one in before if runs.get(session, one).cancel_requested]
        rest = [one for one in before if one != run_id]
        first, here = len(winding_up), before.index(run_id)
        place = {"first": first, "up": max(first, here - 1), "down": here + 1, "last": len(rest)}[to]
        rest.insert(place, run_id)
        assert after == rest

    # -- workers --------------------------------------------------------------------------------------------

    @rule(kills=st.booleans())
    def deliver(self, kills: bool) -> None:
        """A message comes, or comes twice: the worker takes what is first."""
        with self._write() as session:
            waiting = queue_order.queued_ids(session)
            run_id = queue_order.next_id(session)
            attempt = attempts.claim(session, run_id, self.now, self._worker(run_id)) if run_id else None
        assert run_id == (waiting[0] if waiting else None)
        assert (attempt is None) == (run_id is None)
        if run_id is not None and attempt is not None:
            self._claimed(run_id, attempt, kills)

    @precondition(lambda self: self.ids or self.gone)
    @rule(pick=picks, kills=st.booleans())
    def claim(self, pick: int, kills: bool) -> None:
        """Somebody asks for one run, whatever has become of it meanwhile."""
        known = self.ids + self.gone
        run_id = known[pick % len(known)]
        with self._write() as session:
            run = session.get(Run, run_id)
            free = run is not None and (
                run.state == "queued" or (runs.is_lost(run, self.now) and not run.cancel_requested)
            )
            attempt = attempts.claim(session, run_id, self.now, self._worker(run_id))
        assert (attempt is not None) == free
        if attempt is not None:
            self._claimed(run_id, attempt, kills)

    @rule()
    def reconcile(self) -> None:
        with self._write() as session:
            waiting = attempts.reconcile(session, self.now)
            found = list(session.execute(select(Run)).scalars())
        assert set(waiting) == {run.id for run in found if run.state == "queued"}
        assert not any(runs.is_lost(run, self.now) for run in found)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks, at_once=st.booleans())
    def end_a_worker(self, pick: int, at_once: bool) -> None:
        """Another one on its machine sees that: its run waits for no lease. Its trainer dies with it, `at_once` or a moment later."""
        trainer = self._trainer(pick)
        worker = f"{trainer.run_id}:{trainer.attempt}"
        if at_once:
            self.trainers.remove(trainer)
        with self._write() as session:
            owned = self._owns(session, trainer)
            attempts.reconcile(session, self.now, [worker])
            run = session.get(Run, trainer.run_id)
        assert not owned or (run is not None and run.state in ("queued", "paused", "cancelled"))

    @rule(seconds=st.sampled_from((1.0, LEASE_SECONDS + 1, 86_400.0, -1.0, -3600.0)))
    def turn_the_clock(self, seconds: float) -> None:
        self.now += seconds

    # -- trainers -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.trainers)
    @rule(pick=picks)
    def begin(self, pick: int) -> None:
        """The trainer gets the lock, and goes on from the newest checkpoint."""
        self._begin(self._trainer(pick))

    @precondition(lambda self: self.trainers)
    @rule(pick=picks, count=st.integers(1, 4))
    def learn(self, pick: int, count: int) -> None:
        trainer = self._trainer(pick)
        if trainer.begun:
            self._learn(trainer, count)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks)
    def write(self, pick: int) -> None:
        self._flush(self._trainer(pick))

    @precondition(lambda self: self.trainers)
    @rule(pick=picks, told=st.booleans())
    def checkpoint(self, pick: int, told: bool) -> None:
        """It may die between the disk and the database."""
        trainer = self._trainer(pick)
        if trainer.begun and trainer.step and self._checkpoint(trainer, told) and not told:
            self.trainers.remove(trainer)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks)
    def obey(self, pick: int) -> None:
        """What the last write told: a pause with its checkpoint, a cancel."""
        trainer = self._trainer(pick)
        if trainer.wish == "cancel":
            self._end(trainer, "cancelled")
        elif trainer.wish == "pause":
            if trainer.begun and trainer.step:
                self._checkpoint(trainer, True)
            if trainer in self.trainers:
                self._leave(trainer, attempts.pause)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks, seen=st.booleans())
    def die(self, pick: int, seen: bool) -> None:
        """Ended from outside; its supervisor has seen it, or died as well."""
        trainer = self._trainer(pick)
        if seen:
            self._leave(trainer, attempts.release, "killed")
        else:
            self.trainers.remove(trainer)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks, final=st.booleans())
    def crash(self, pick: int, final: bool) -> None:
        error = {"kind": "bug", "message": "It crashed."}
        self._leave(self._trainer(pick), attempts.fail_or_retry, error, final)

    @precondition(lambda self: self.trainers)
    @rule(pick=picks)
    def finish(self, pick: int) -> None:
        trainer = self._trainer(pick)
        if trainer.begun and trainer.wish == "go on":
            self._learn(trainer, STEPS)
            if self._flush(trainer):
                self._end(trainer, "succeeded")

    # -- promises -------------------------------------------------------------------------------------------

    @invariant()
    def promises_hold(self) -> None:
        with self.database.read() as session:
            found = {run.id: run for run in session.execute(select(Run)).scalars()}
            curves = {run_id: self._curve(session, run_id) for run_id in found}
        assert sorted(found) == sorted(self.ids)
        for run_id, run in found.items():
            change = (self.states[run_id], run.state)
            assert change[0] == change[1] or change in ALLOWED or (self.retried and change in RETRY), change
            self.states[run_id] = run.state
            assert run.attempt == self.claimed.get(run_id, 0)
            assert (run.lease_until is not None) == (run.state == "running")
            assert (run.finished_at is not None) == (run.state in FINAL_STATES)
            steps = [step for step, _ in curves[run_id]]
            assert steps == list(range(1, len(steps) + 1)), "the curve has a gap or a doubled step"
        self.retried = False

    # -- inside ---------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with self.database.write() as session:
            yield session

    def _worker(self, run_id: str) -> str:
        """Who takes the run next: a worker for each attempt."""
        return f"{run_id}:{self.claimed.get(run_id, 0) + 1}"

    def _trainer(self, pick: int) -> Trainer:
        return self.trainers[pick % len(self.trainers)]

    def _claimed(self, run_id: str, attempt: int, kills: bool) -> None:
        assert attempt > self.claimed.get(run_id, 0)
        self.claimed[run_id] = attempt
        if kills:  # the process group of the attempt before; one of another machine lives on until it writes
            self.trainers = [one for one in self.trainers if one.run_id != run_id]
        self.trainers.append(Trainer(run_id, attempt))

    def _owns(self, session: Session, trainer: Trainer) -> bool:
        run = session.get(Run, trainer.run_id)
        return run is not None and (run.state, run.attempt) == ("running", trainer.attempt)

    def _fenced(self, trainer: Trainer, work: Any) -> bool:
        """Does `work` in a transaction; a trainer that has lost its run is told so, and ends."""
        with self.database.read() as session:
            owns = self._owns(session, trainer)
        try:
            with self._write() as session:
                work(session)
        except (LostRun, NotFound):
            assert not owns
            self.trainers.remove(trainer)
            return False
        assert owns
        return True

    def _begin(self, trainer: Trainer) -> None:
        if trainer.begun:
            return
        if any(one.begun and one.run_id == trainer.run_id for one in self.trainers):
            self._leave(trainer, attempts.release, "locked")
            return
        kept = self.disk.get(trainer.run_id, Checkpoint())
        if trainer.attempt > 1 and not self._fenced(
            trainer,
            lambda session: attempts.go_on(
                session, trainer.run_id, trainer.attempt, kept.step, 0.0, None, self.now
            ),
        ):
            return
        trainer.begun = True
        trainer.lineage, trainer.buffer = dict(kept.lineage), dict(kept.unwritten)

    def _learn(self, trainer: Trainer, count: int) -> None:
        for step in range(trainer.step + 1, min(trainer.step + count, STEPS) + 1):
            trainer.lineage[step] = trainer.buffer[step] = trainer.attempt

    def _flush(self, trainer: Trainer, **progress: Any) -> bool:
        points = [
            PointValue("train/loss", step, float(attempt), self.now)
            for step, attempt in trainer.buffer.items()
        ]
        batch = Batch(points=points, progress=progress)

        def record(session: Session) -> None:
            trainer.wish = attempts.record(session, trainer.run_id, trainer.attempt, batch, self.now)

        written = self._fenced(trainer, record)
        if written:
            trainer.buffer = {}
        return written

    def _checkpoint(self, trainer: Trainer, told: bool) -> bool:
        """Onto the disk without a look at the database, as the keeper does it: the lock is what guards it."""
        if trainer.run_id in self.gone:
            return True  # into a folder that is deleted
        self.disk[trainer.run_id] = Checkpoint(trainer.step, dict(trainer.lineage), dict(trainer.buffer))
        return not told or self._flush(trainer, checkpoint_step=trainer.step, step=trainer.step, failures=0)

    def _leave(self, trainer: Trainer, move: Any, *arguments: Any) -> None:
        def work(session: Session) -> None:
            move(session, trainer.run_id, trainer.attempt, *arguments, now=self.now)

        if self._fenced(trainer, work):
            self.trainers.remove(trainer)

    def _end(self, trainer: Trainer, state: str) -> None:
        if self._fenced(
            trainer,
            lambda session: attempts.finish(session, trainer.run_id, trainer.attempt, state, self.now),
        ):
            self.trainers.remove(trainer)
            if state == "succeeded":
                with self.database.read() as session:
                    assert self._curve(session, trainer.run_id) == sorted(trainer.lineage.items())
                self.disk.pop(trainer.run_id, None)

    @staticmethod
    def _curve(session: Session, run_id: str) -> list[tuple[int, int]]:
        found = events.read_points(session, run_id, ["train/loss"])["train/loss"]
        return [(step, int(value)) for step, value in zip(found["step"], found["value"], strict=True)]

    def _nothing_is_lost(self) -> None:
        """Everything dies; then one worker that nothing disturbs brings every run to its end."""
        self.trainers = []
        self.now += LEASE_SECONDS + 2
        self.reconcile()
        with self._write() as session:
            for run_id in self.ids:
                if runs.get(session, run_id).state == "paused":
                    runs.request_resume(session, run_id, self.now)
        for _ in self.ids:
            self.deliver(kills=True)
            for trainer in list(self.trainers):
                with self.database.read() as session:
                    cancelled = runs.get(session, trainer.run_id).cancel_requested
                self._begin(trainer)
                if cancelled:
                    self._end(trainer, "cancelled")
                    continue
                self._learn(trainer, STEPS)
                assert self._flush(trainer)
                self._end(trainer, "succeeded")
        with self.database.read() as session:
            assert all(run.state in FINAL_STATES for run in session.execute(select(Run)).scalars())


@pytest.mark.slow
def test_no_sequence_of_moves_breaks_a_promise(database: Database, spec: RunSpec) -> None:
    RunMachine.database, RunMachine.spec = database, spec
    run_state_machine_as_test(
        RunMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            derandomize=True,  # the same moves each time: a failure is a change of ours
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
