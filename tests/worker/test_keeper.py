from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.core.strategies import Full
from tests.conftest import TurnedClock
from tests.worker.conftest import Case
from worker import checkpoints
from worker.keeper import Keeper, safe
from worker.loop import Evaluated, Step
from worker.optim import adamw
from worker.transfer import Plan, make_plan

Make = Callable[..., Keeper]


@pytest.fixture
def plan(case: Callable[..., Case]) -> Plan:
    return make_plan(case("bert-still").model, Full(), 0.0)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, plan: Plan, said: list[str], clock: TurnedClock) -> Make:
    def keeper(seconds: float | None = None, attempt: int = 1) -> Keeper:
        folder = tmp_path / f"attempt-{attempt}"
        folder.mkdir(exist_ok=True)
        made = Keeper(tmp_path / "checkpoints", folder / "best.safetensors", seconds, said.append, clock)
        made.facts = made.begin(plan.groups)  # type: ignore[attr-defined]
        made.place.optimizer = adamw(plan.groups, torch.device("cpu"))
        return made

    return keeper


def test_without_a_checkpoint_the_training_begins(make: Make) -> None:
    keeper = make()
    assert keeper.facts is None  # type: ignore[attr-defined]
    assert keeper.place.step == 0


def test_a_later_attempt_gets_place_facts_and_best_weights(make: Make, tmp_path: Path) -> None:
    first = make()
    first.place.step = 7
    save_file({"weight": torch.tensor(1.0)}, tmp_path / "attempt-1" / "best.safetensors")
    assert first.save({"loss": 0.25})
    save_file({"weight": torch.tensor(2.0)}, tmp_path / "new.safetensors")
    (tmp_path / "new.safetensors").replace(tmp_path / "attempt-1" / "best.safetensors")
    second = make(attempt=2)
    assert (second.place.step, second.facts) == (7, {"loss": 0.25})  # type: ignore[attr-defined]
    assert load_file(tmp_path / "attempt-2" / "best.safetensors")["weight"] == 1.0


def test_the_interval_is_what_was_asked_for(make: Make, clock: TurnedClock) -> None:
    keeper = make(seconds=10)
    clock.turn(9)
    assert not keeper.due()
    clock.turn(1)
    assert keeper.due()
    keeper.save({})
    assert not keeper.due()
    assert make(seconds=0).due()


def test_left_alone_it_is_a_minute_and_longer_where_writing_is_slow(make: Make, clock: TurnedClock) -> None:
    keeper = make()
    clock.turn(59)
    assert not keeper.due()
    clock.turn(1)
    assert keeper.due()
    keeper._took = 3.0
    clock.turn(59)
    assert not keeper.due()
    clock.turn(1)
    assert keeper.due()


def test_a_damaged_checkpoint_is_told(make: Make, said: list[str], tmp_path: Path) -> None:
    first = make()
    for step in (3, 4):
        first.place.step = step
        first.save({"step": step})
    (tmp_path / "checkpoints" / "00000004" / "moments.safetensors").write_bytes(b"cut")
    second = make(attempt=2)
    assert second.place.step == 3
    assert said == ["The checkpoint of step 4 can't be used (moments.safetensors is damaged)."]


@pytest.mark.parametrize(
    ("number", "said_of_it"), [(28, "The disk is too full"), (30, "The data folder has become read-only")]
)
def test_a_disk_that_takes_no_checkpoint_is_told_and_ends_nothing(
    make: Make,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    said_of_it: str,
) -> None:
    keeper = make()
    keeper.place.step = 5

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(checkpoints, "save_file", refuse)
    assert not keeper.save({})
    assert f"{said_of_it}, so there is no checkpoint of step 5" in said[0]
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_step_that_is_still_to_be_judged_is_no_place_to_keep() -> None:
    step = Step(1, 0.1, 0.5, 1e-3, 1.0, 8, 80, 0.1, 1.0, judged=True)
    assert not safe(step)
    assert safe(Step(1, 0.1, 0.5, 1e-3, 1.0, 8, 80, 0.1, 1.0))
    assert safe(Evaluated(1, 0.1, {}, True, 0.1, 1.0))
