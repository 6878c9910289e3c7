"""The torch half of classification: weights of classes, answers in order, and every torch-free task has one."""

from collections.abc import Callable

import numpy as np
import pytest

from app.core.spec import parse_spec
from app.tasks import TASKS
from tests.worker.conftest import Case
from worker.tasks import TorchTask, torch_task
from worker.tasks.classification import Classification, balanced

SPEC = parse_spec(
    {
        "dataset": "abcdefabcdef",
        "task": "classification",
        "columns": {"text": "text", "label": "label"},
        "max_length": 32,
    }
)


def test_every_task_has_both_halves() -> None:
    for name in TASKS:
        assert issubclass(torch_task(name), TorchTask)


def test_balanced_weights_are_scikit_learns() -> None:
    assert balanced(np.array([0, 0, 0, 1]), 2) == pytest.approx((4 / 6, 2.0))
    assert balanced(np.array([0, 0, 2]), 3) == pytest.approx((0.75, 1.0, 1.5))


@pytest.mark.parametrize("family", ["bert-still", "gpt2-still"])
def test_answers_stand_in_the_order_of_the_inputs_whatever_their_length(
    case: Callable[..., Case], family: str
) -> None:
    loaded = case(family, rows=40)
    loaded.model.eval()
    together = Classification.answer(loaded.model, loaded.tokenizer, SPEC, loaded.texts)
    for place in (0, 9, 39):
        (alone,) = Classification.answer(loaded.model, loaded.tokenizer, SPEC, [loaded.texts[place]])
        assert together[place]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    assert list(together[0]["probabilities"]) == ["negative", "positive"]
