"""A training that is cut off at any step and goes on from its checkpoint ends with the bits of one that was not."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from app.core.strategies import Full, Gradual, Head, Partial
from tests.worker.conftest import Case
from worker import checkpoints, evaluate
from worker.backbone import pad_id
from worker.loop import Evaluated, Event, Place, Recipe, Step, Stopped, train
from worker.losses import CrossEntropy
from worker.transfer import make_plan

CPU = torch.device("cpu")
RECIPE = Recipe(2, 8, 1, 1e-2, 0.1, 0.01, 1.0, 3, None, 1)
STEPS = 10  # 40 rows, 8 a step, 2 epochs


class Training:
    """A fresh model that is trained to the end, or until `until` steps are done and may be saved."""

    def __init__(self, case: Case, options: Any, recipe: Recipe = RECIPE, root: Path | None = None) -> None:
        self.case, self.recipe = case, recipe
        self.plan = make_plan(case.model, options, recipe.weight_decay)
        self.place = Place()
        self.best = root.parent / "best.safetensors" if root else None
        if root is not None and (found := checkpoints.newest(root)[0]):
            self.place = checkpoints.restore(found, self.plan.groups)

    def run(self, until: int | None = None) -> list[Event]:
        def judge(model: Any) -> dict[str, float]:
            return evaluate.scores(evaluate.logits(model, self.case.data, 16, CPU), self.case.truth)

        objective = CrossEntropy(self.case.data, self.case.truth, pad_id(self.case.model))
        events: list[Event] = []
        for event in train(
            self.case.model, objective, self.recipe, self.plan, judge, "accuracy", CPU, place=self.place
        ):
            events.append(event)
            if isinstance(event, Evaluated) and event.best and self.best:
                save_file({"step": torch.tensor(event.step)}, self.best)
            safe = isinstance(event, Evaluated) or (isinstance(event, Step) and not event.judged)
            if safe and self.place.step == until:
                break
        return events

    def save(self, root: Path) -> None:
        best = self.best if self.best and self.best.exists() else None
        checkpoints.save(root, self.place, best, {"loss": 0.5})


def losses(events: list[Event]) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in events if isinstance(event, Step)]


@pytest.mark.parametrize("cut", range(1, STEPS + 1))
def test_every_step_is_a_place_to_go_on_from(case: Callable[..., Case], tmp_path: Path, cut: int) -> None:
    whole, first = Training(case("bert"), Full()), Training(case("bert"), Full())
    expected = whole.run()
    before = first.run(until=cut)
    first.save(tmp_path / "checkpoints")
    second = Training(case("bert"), Full(), root=tmp_path / "checkpoints")
    after = second.run()
    assert losses(before) + losses(after) == losses(expected)
    judged = [(one.step, one.scores, one.best) for one in (*before, *after) if isinstance(one, Evaluated)]
    assert judged == [(one.step, one.scores, one.best) for one in expected if isinstance(one, Evaluated)]
    for name, tensor in whole.case.weights().items():
        assert torch.equal(tensor, second.case.weights()[name]), name


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize(
    "options", [Head(kind="head"), Partial(kind="partial", layers=1), Gradual(kind="gradual", over=0.8)]
)
def test_every_strategy_goes_on_exactly(
    case: Callable[..., Case], tmp_path: Path, family: str, options: Any
) -> None:
    whole, first = Training(case(family), options), Training(case(family), options)
    whole.run()
    first.run(until=4)
    first.save(tmp_path / "checkpoints")
    second = Training(case(family), options, root=tmp_path / "checkpoints")
    second.run()
    for name, tensor in whole.case.weights().items():
        assert torch.equal(tensor, second.case.weights()[name]), name


def test_a_training_that_stopped_early_stays_stopped(case: Callable[..., Case], tmp_path: Path) -> None:
    patient = dataclasses.replace(RECIPE, eval_steps=1, patience=1, learning_rate=1e-12)
    first = Training(case("bert-still"), Full(), patient)
    stopped = first.run()[-1]
    assert stopped == Stopped(2, "early_stopping")
    first.save(tmp_path / "checkpoints")
    assert Training(case("bert-still"), Full(), patient, tmp_path / "checkpoints").run()[1:] == [stopped]


@pytest.fixture
def saved(case: Callable[..., Case], tmp_path: Path) -> tuple[Path, Training]:
    """Checkpoints of the steps 1, 2 and 3."""
    root = tmp_path / "checkpoints"
    training = Training(case("bert-still"), Full(), root=root)
    for step in (1, 2, 3):
        training.run(until=step)
        training.save(root)
    return root, training


def test_the_last_two_are_kept_with_the_best_weights_of_their_time(saved: tuple[Path, Training]) -> None:
    root, _ = saved
    assert sorted(path.name for path in root.iterdir()) == ["00000002", "00000003"]
    found, faults = checkpoints.newest(root)
    assert found is not None and found.step == 3 and found.facts == {"loss": 0.5} and faults == []
    assert found.best is not None
    assert not (root / "00000002" / checkpoints.BEST).exists()  # the first evaluation is that of step 3


@pytest.mark.parametrize("name", ["learned.safetensors", "moments.safetensors", "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_a_damaged_one_is_noticed_and_the_one_before_it_counts(
    saved: tuple[Path, Training], name: str, harm: str
) -> None:
    root, _ = saved
    path = root / "00000003" / name
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[-2] ^= 1
        path.write_bytes(content)
    found, faults = checkpoints.newest(root)
    assert found is not None and found.step == 2
    (fault,) = faults
    assert fault.startswith("The checkpoint of step 3 can't be used (")


def test_one_that_was_being_written_does_not_count(saved: tuple[Path, Training]) -> None:
    root, _ = saved
    shutil.copytree(root / "00000003", root / ".00000004.part")
    found, faults = checkpoints.newest(root)
    assert found is not None and found.step == 3 and faults == []


def test_a_write_that_fails_leaves_the_others_and_no_trace(saved: tuple[Path, Training]) -> None:
    root, training = saved
    training.place.step = 4
    with pytest.raises(FileNotFoundError):
        checkpoints.save(root, training.place, root / "no such file", {})
    assert sorted(path.name for path in root.iterdir()) == ["00000002", "00000003"]


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert checkpoints.newest(tmp_path / "none") == (None, [])


def test_one_of_another_model_is_refused(saved: tuple[Path, Training], case: Callable[..., Case]) -> None:
    root, _ = saved
    found, _ = checkpoints.newest(root)
    assert found is not None
    other = make_plan(case("gpt2").model, Full(), 0.0)
    with pytest.raises(ValueError, match="of another model"):
        checkpoints.restore(found, other.groups)
