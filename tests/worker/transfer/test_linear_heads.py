"""A class counts as linear if its last layer is seen to read the vector, and is left alone if not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.worker.tasks.sequence import CPU, examples_of, spec_of
from tests.worker.tiny import ENCODERS, build, toy
from worker.tasks import torch_task
from worker.tasks.score import last_layer
from worker.transfer.linear_heads import linearise
from worker.transfer.pooling import Reader, mean_of

Loaded = tuple[Any, Reader, dict[str, torch.Tensor]]


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Loaded]:
    texts, labels = toy(24)

    def load(family: str) -> Loaded:
        examples = examples_of({"text": texts, "label": labels})
        half: Any = torch_task("classification")(spec_of("classification"), examples, CPU)
        model, tokenizer = half.load(build(family, tmp_path / family, texts), True)
        part = half.encode(tokenizer, examples.part("train"), half.tell)
        reader = Reader(model, last_layer(model), half, CPU)
        return model, reader, reader.batch(part.encoded, np.arange(len(part.encoded)))

    return load


@pytest.mark.parametrize("family", [one for one in ENCODERS if one != "modernbert"])
def test_what_the_last_layer_reads_is_the_first_token_but_for_a_scale_and_a_shift(
    loaded: Callable[[str], Loaded], family: str
) -> None:
    model, reader, batch = loaded(family)
    assert linearise(model, reader, batch, "cls")
    seen = reader.see(batch)
    first, own = seen.hidden[:, 0], seen.own
    scaled = (own - own.mean(0)) / (own - own.mean(0)).norm()
    wanted = (first - first.mean(0)) / (first - first.mean(0)).norm()
    torch.testing.assert_close(scaled, wanted, atol=2e-3, rtol=0)


@pytest.mark.parametrize(("family", "target"), [("modernbert", "cls"), ("bert", "mean"), ("llama", "cls")])
def test_a_class_that_cannot_keeps_its_weights(
    loaded: Callable[[str], Loaded], family: str, target: Any
) -> None:
    model, reader, batch = loaded(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pooling = getattr(model.config, "classifier_pooling", None)
    assert not linearise(model, reader, batch, target)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert getattr(model.config, "classifier_pooling", None) == pooling


def test_a_class_whose_config_says_what_it_reads_is_told(loaded: Callable[[str], Loaded]) -> None:
    model, reader, batch = loaded("modernbert")
    for target in ("cls", "mean"):
        assert not linearise(model, reader, batch, target, told=True)
        assert model.config.classifier_pooling == target


def test_the_mean_leaves_padding_out() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [6.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean_of(hidden, {"attention_mask": mask}).tolist() == [[2.0], [4.0]]
