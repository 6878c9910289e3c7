"""The user's moves and the reconciler."""

from collections.abc import Callable

import pytest

from app.core import attempts, events, runs
from app.core.attempts import Batch
from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.files import new_id
from app.core.runs import LEASE_SECONDS
from app.core.spec import RunSpec
from tests.conftest import TurnedClock

QueueRun = Callable[[], str]


def test_a_queued_run_is_cancelled_at_once_and_never_starts(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        assert runs.request_cancel(session, run_id, clock()).state == "cancelled"
        assert attempts.claim(session, run_id, clock()) is None


def test_a_repeated_cancel_is_no_error(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    with database.write() as session:
        runs.request_cancel(session, run_id, clock())
        assert runs.request_cancel(session, run_id, clock()).state == "cancelled"


def test_a_finished_run_can_not_be_cancelled(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "succeeded", clock())
    with pytest.raises(Conflict, match="succeeded already"), database.write() as session:
        runs.request_cancel(session, run_id, clock())


def test_a_running_run_is_asked_to_stop(database: Database, queue_run: QueueRun, clock: TurnedClock) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        run = runs.request_cancel(session, run_id, clock())
        assert (run.state, run.cancel_requested) == ("running", True)


def test_reconcile_queues_what_lost_its_lease_and_lists_the_waiting(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    lost, alive, waiting = queue_run(), queue_run(), queue_run()
    with database.write() as session:
        attempts.claim(session, lost, clock())
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        attempts.claim(session, alive, clock())
        assert attempts.reconcile(session, clock()) == [lost, waiting]
        assert runs.get(session, lost).failures == 0
        assert runs.get(session, alive).state == "running"


def test_reconcile_ends_a_lost_run_that_was_to_be_cancelled(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        runs.request_cancel(session, run_id, clock())
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        assert attempts.reconcile(session, clock()) == []
        assert runs.get(session, run_id).state == "cancelled"


def test_a_finished_run_is_never_resurrected(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "failed", clock(), error={"kind": "bug", "message": "x"})
    clock.turn(10 * LEASE_SECONDS)
    with database.write() as session:
        assert attempts.reconcile(session, clock()) == []
        assert attempts.claim(session, run_id, clock()) is None


def test_a_silent_run_is_shown_as_stalled(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        run = runs.get(session, run_id)
        assert runs.view(run, clock())["stalled"] is False
        assert runs.view(run, clock() + LEASE_SECONDS + 1)["stalled"] is True


def test_only_a_run_that_is_over_is_removed_and_its_trace_goes_with_it(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        point = events.PointValue("train/loss", 1, 0.5, clock())
        attempts.record(session, run_id, 1, Batch(points=[point]), clock())
    with pytest.raises(Conflict, match="cancel it before"), database.write() as session:
        runs.remove(session, run_id)
    with database.write() as session:
        attempts.finish(session, run_id, 1, "cancelled", clock())
        runs.remove(session, run_id)
    with database.read() as session:
        assert events.read_points(session, run_id) == {}
        assert events.after(session, run_id, 0) == []
        with pytest.raises(NotFound):
            runs.get(session, run_id)


def test_a_run_whose_model_another_began_with_is_not_removed(
    database: Database, queue_run: QueueRun, spec: RunSpec, clock: TurnedClock
) -> None:
    parent = queue_run()
    child, grandchild = new_id(), new_id()
    with database.write() as session:
        attempts.claim(session, parent, clock())
        attempts.finish(session, parent, 1, "succeeded", clock())
        runs.create(session, child, spec, "0" * 64, clock(), parent=(parent, "1" * 64))
        runs.create(session, grandchild, spec, "0" * 64, clock(), parent=(child, "2" * 64))
    with pytest.raises(Conflict, match="is the base of 'Reviews'"), database.write() as session:
        runs.remove(session, parent)
    with database.write() as session:
        assert [run.id for run in runs.ancestors(session, grandchild)] == [child, parent]
        assert [run.id for run in runs.children(session, parent)] == [child]
        for run_id in (grandchild, child):
            runs.request_cancel(session, run_id, clock())
            runs.remove(session, run_id)
        runs.remove(session, parent)


def test_a_paused_run_without_a_checkpoint_is_cancelled_at_once(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        runs.request_pause(session, run_id, clock())
        assert runs.request_cancel(session, run_id, clock()).state == "cancelled"


def test_a_lost_run_with_a_checkpoint_that_was_to_be_cancelled_is_claimed_once_more(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.record(session, run_id, 1, Batch(progress={"checkpoint_step": 3}), clock())
        runs.request_cancel(session, run_id, clock())
    clock.turn(LEASE_SECONDS + 1)
    with database.write() as session:
        assert attempts.reconcile(session, clock()) == [run_id]
        with pytest.raises(Conflict, match="being cancelled"):
            runs.request_pause(session, run_id, clock())
        assert attempts.claim(session, run_id, clock()) == 2
        attempts.finish(session, run_id, 2, "cancelled", clock())


def test_a_lease_from_before_the_clock_was_put_back_has_run_out(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
    clock.turn(-3600)
    with database.write() as session:
        assert runs.is_lost(runs.get(session, run_id), clock())
        assert attempts.reconcile(session, clock()) == [run_id]


@pytest.mark.parametrize(("checkpoint", "said"), [(0, "from the beginning"), (7, "from step 7")])
def test_a_failed_run_is_tried_again_and_says_from_where(
    database: Database, queue_run: QueueRun, clock: TurnedClock, checkpoint: int, said: str
) -> None:
    run_id = queue_run()
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.record(session, run_id, 1, Batch(progress={"checkpoint_step": checkpoint}), clock())
        attempts.fail_or_retry(session, run_id, 1, {"kind": "bug", "message": "x"}, True, clock())
        run = runs.request_retry(session, run_id, clock())
        assert (run.state, run.error, run.failures, run.finished_at) == ("queued", None, 0, None)
        lines = [event.payload for event in events.after(session, run_id, 0) if event.kind == "log"]
        assert said in lines[-1]["message"]
        assert attempts.claim(session, run_id, clock()) == 2


def test_only_a_failed_or_cancelled_run_is_tried_again(
    database: Database, queue_run: QueueRun, clock: TurnedClock
) -> None:
    run_id = queue_run()
    with database.write() as session, pytest.raises(Conflict, match="is queued, so there is nothing to try"):
        runs.request_retry(session, run_id, clock())
    with database.write() as session:
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "succeeded", clock())
        with pytest.raises(Conflict, match="has succeeded"):
            runs.request_retry(session, run_id, clock())


def test_a_run_whose_model_another_began_with_is_not_tried_again(
    database: Database, queue_run: QueueRun, spec: RunSpec, clock: TurnedClock
) -> None:
    parent = queue_run()
    with database.write() as session:
        runs.request_cancel(session, parent, clock())
        runs.create(session, new_id(), spec, "0" * 64, clock(), parent=(parent, "1" * 64))
        with pytest.raises(Conflict, match="is the base of 'Reviews'"):
            runs.request_retry(session, parent, clock())
