from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.core.strategies import Lora
from tests.worker.conftest import LABELS, Case
from tests.worker.tiny import DECODERS, ENCODERS, build, toy
from worker.backbone import load_classifier
from worker.transfer import make_plan
from worker.transfer.blocks import stack_of
from worker.transfer.drift import Origin


def loaded(folder: Path, seed: int = 1, keep_head: bool = True) -> Any:
    model, _ = load_classifier(folder, LABELS, seed, keep_head)
    return model


def by_level(found: list[dict[str, Any]]) -> dict[str, float]:
    return {one["level"]: one["drift"] for one in found}


def scaled(model: Any, level: int, by: float) -> None:
    stack = stack_of(model)
    with torch.no_grad():
        for name in stack.of(level):
            model.get_parameter(name).mul_(by)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_a_block_whose_weights_grow_by_a_tenth_has_moved_a_tenth(tmp_path: Path, family: str) -> None:
    folder = build(family, tmp_path / family, toy(40)[0])
    model = loaded(folder)
    origin = Origin(model, folder)
    scaled(model, 1, 1.1)
    found = [
        one for one in origin.drift(model) if one["level"] != "head"
    ]  # ModernBERT's brings a layer of it
    blocks = len(stack_of(model).blocks)
    assert [one["level"] for one in found] == ["embeddings", *(f"block {n}" for n in range(1, blocks + 1))]
    assert by_level(found) == pytest.approx(
        {"embeddings": 0.0, "block 1": 0.1, **{f"block {n}": 0.0 for n in range(2, blocks + 1)}}, abs=1e-6
    )
    assert [one["level"] for one in found if one["learned"]] == ["block 1"]


def test_a_new_head_has_no_origin_and_a_kept_one_has(folders: dict[str, Path], tmp_path: Path) -> None:
    model, tokenizer = load_classifier(folders["llama"], LABELS, 1)
    new = Origin(model, folders["llama"]).drift(model)
    model.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")

    kept = loaded(tmp_path / "again")
    replaced = loaded(tmp_path / "again", 2, keep_head=False)

    assert "head" not in by_level(new)
    assert by_level(Origin(kept, tmp_path / "again").drift(kept))["head"] == 0
    assert "head" not in by_level(Origin(replaced, tmp_path / "again").drift(replaced))


def test_a_token_that_was_added_does_not_count(folders: dict[str, Path]) -> None:
    model = loaded(folders["llama-without-eos"])
    found = Origin(model, folders["llama-without-eos"]).drift(model)
    assert by_level(found)["embeddings"] == 0


def test_the_first_berts_called_a_norm_otherwise(folders: dict[str, Path], tmp_path: Path) -> None:
    model = loaded(folders["bert"])
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folders["bert"] / "model.safetensors").items()
    }
    save_file({f"bert.{name}": tensor for name, tensor in old.items()}, tmp_path / "model.safetensors")
    with torch.no_grad():
        model.bert.embeddings.LayerNorm.weight.add_(1.0)
    assert by_level(Origin(model, tmp_path).drift(model))["embeddings"] > 0.5


def test_weights_of_half_the_precision_are_where_they_were(folders: dict[str, Path], tmp_path: Path) -> None:
    model: Any
    model, tokenizer = load_classifier(folders["gpt2"], LABELS, 1)
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    tokenizer.save_pretrained(tmp_path / "half")
    again = loaded(tmp_path / "half")
    assert not any(one["learned"] for one in Origin(again, tmp_path / "half").drift(again))


def test_a_merged_adapter_has_moved_the_blocks_alone(
    folders: dict[str, Path], case: Callable[..., Case]
) -> None:
    model = case("bert").model
    origin = Origin(model, folders["bert"])
    plan = make_plan(model, Lora(kind="lora", rank=2), 0.0)
    with torch.no_grad():
        for parameter in (parameter for group in plan.groups for parameter in group.parameters):
            parameter.add_(0.1)
    assert plan.finish is not None
    plan.finish()
    found = origin.drift(model)
    assert {one["level"]: one["learned"] for one in found if one["level"] != "head"} == {
        "embeddings": False,
        "block 1": True,
        "block 2": True,
    }
