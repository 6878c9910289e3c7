"""A classifier's last block by its first token: the same outputs, the same gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForTokenClassification

from tests.worker import tiny
from worker.backbone import load_classifier
from worker.fast import quickened
from worker.fast.last_block import CLASSES, shortened

FAMILIES = ("bert", "roberta", "distilbert", "electra", "mpnet")


def gradients(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    model(**batch).logits.square().sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_gradients_are_those_of_the_whole_block(family: str, tmp_path: Path) -> None:
    texts, _ = tiny.toy(20)
    folder = tiny.build(family, tmp_path / family, texts, dropout=0.0)
    model, tokenizer = load_classifier(folder, ["a", "b", "c"], 1)
    assert type(model).__name__ in CLASSES
    batch = dict(tokenizer(texts[:5], padding=True, return_tensors="pt"))
    model.train()
    outputs, expected = model(**batch).logits, gradients(model, batch)
    places: list[int] = []
    blocks: Any = model.get_submodule(CLASSES[type(model).__name__][0])
    blocks[-1].register_forward_hook(
        lambda _module, _inputs, output: places.append(
            (output if torch.is_tensor(output) else output[0]).shape[1]
        )
    )
    with shortened(model) as done:
        assert done
        torch.testing.assert_close(model(**batch).logits, outputs, atol=1e-6, rtol=1e-5)
        found = gradients(model, batch)
    assert set(places) == {1}
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


def test_padding_changes_nothing(tmp_path: Path) -> None:
    texts, _ = tiny.toy(20)
    model, tokenizer = load_classifier(tiny.build("bert", tmp_path / "bert", texts), ["a", "b"], 1)
    model.eval()  # type: ignore[no-untyped-call]
    with quickened(model), torch.inference_mode():
        together = model(**tokenizer(texts[:6], padding=True, return_tensors="pt")).logits
        alone = torch.cat([model(**tokenizer([text], return_tensors="pt")).logits for text in texts[:6]])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_model_that_reads_every_token_keeps_its_last_block(tmp_path: Path) -> None:
    folder = tiny.build("bert", tmp_path / "bert", tiny.toy(20)[0])
    model, _ = load_classifier(folder, ["a", "b"], 1, auto=AutoModelForTokenClassification, problem=None)
    with shortened(model) as done:
        assert not done


def test_the_model_is_put_back_even_after_an_error(tmp_path: Path) -> None:
    model, _ = load_classifier(tiny.build("bert", tmp_path / "bert", tiny.toy(20)[0]), ["a", "b"], 1)
    with pytest.raises(RuntimeError), quickened(model):
        raise RuntimeError
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(type(module).__name__ == "FastDropout" for module in model.modules())
    assert model.config._attn_implementation == "sdpa"


def test_a_block_whose_forward_is_replaced_already_is_left_alone(tmp_path: Path) -> None:
    model, _ = load_classifier(tiny.build("bert", tmp_path / "bert", tiny.toy(20)[0]), ["a", "b"], 1)
    with shortened(model) as outer, shortened(model) as inner:
        assert outer and not inner
    with shortened(model) as again:
        assert again
