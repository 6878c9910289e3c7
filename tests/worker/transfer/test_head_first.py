"""LP-FT: the head is at its optimum before anything else moves, at a size at which it can go on learning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.worker.tasks.sequence import CPU, examples_of, spec_of
from tests.worker.tiny import build, toy
from worker.tasks import torch_task
from worker.tasks.score import last_layer
from worker.transfer.head_first import HeadFirst, head_first


def begun(folder: Path, name: str, labels: list[Any]) -> tuple[Any, Any, dict[str, Any], HeadFirst, Any]:
    texts, _ = toy(96)
    examples = examples_of({"text": texts, "label": labels})
    half: Any = torch_task(name)(spec_of(name), examples, CPU)
    model, tokenizer = half.load(folder, True)
    parts = [
        half.encode(tokenizer, examples.part(part), half.tell) for part in ("train", "validation", "test")
    ]
    objective = half.objective(model, parts[0])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    free = half.free_half
    found = head_first(model, half, objective, tuple(parts), free.primary, free.primary_is_lower, CPU)
    return half, model, before, found, parts


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_only_the_last_layer_is_changed_and_stays_of_a_sane_size(tmp_path: Path, family: str) -> None:
    half, model, before, found, parts = begun(
        build(family, tmp_path / "m", toy(96)[0]), "classification", toy(96)[1]
    )
    last = {id(parameter) for parameter in last_layer(model).parameters()}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in last) != torch.equal(parameter, before[name]), name
        assert parameter.requires_grad
    assert float(last_layer(model).weight.detach().abs().max()) < 300
    measured = half.figures(half.logits(model, parts[1]), parts[1], half.logits(model, parts[2]), parts[2])
    assert found.metrics == pytest.approx(measured, rel=1e-3)
    assert found.iterations > 0


def test_scores_are_fitted_in_the_unit_of_the_training(tmp_path: Path) -> None:
    labels = [70.0 if label == "positive" else 30.0 for label in toy(96)[1]]
    half, model, _, found, parts = begun(build("bert", tmp_path / "m", toy(96)[0]), "score", labels)
    assert found.metrics["rmse"] < 25
    half.finish(model, None)
    assert 30 < float(np.mean(half.logits(model, parts[2]))) < 70
