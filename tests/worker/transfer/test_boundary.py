from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from tests.worker.tiny import DECODERS, ENCODERS, build, toy
from worker.backbone import load_classifier, pad_id
from worker.batches import collate
from worker.encode import encode
from worker.transfer.blocks import stack_of
from worker.transfer.boundary import Boundary, pick, places_of, shortened

CPU = torch.device("cpu")
# What a family's head for whole texts reads.
READS = {**dict.fromkeys(ENCODERS, "first"), **dict.fromkeys(DECODERS, "last"), "modernbert": "all"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    texts, _ = toy(40)
    return {
        family: build(family, tmp_path_factory.mktemp(family), texts) for family in (*ENCODERS, *DECODERS)
    }


def opened(folder: Path, **options: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    model: Any
    model, tokenizer = load_classifier(folder, ["a", "b", "c"], 1, **options)
    model.eval()
    encoded = encode(tokenizer, toy(40)[0], 32)
    rows = np.array([0, 3, 5, 9, 11], dtype=np.int64)
    return model, collate(encoded, rows, pad_id(model), CPU)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_what_a_head_reads_is_found_and_gives_the_same_logits(folders: dict[str, Path], family: str) -> None:
    model, inputs = opened(folders[family])
    names = set(model.state_dict())
    with torch.inference_mode():
        plain = model(**inputs).logits
    with Boundary(model, [block for _, block in stack_of(model).blocks]) as boundary:
        reads = boundary.reads(inputs, pad_id(model), whole=True)
        assert reads == (READS[family], 32)
        places = places_of(inputs, pad_id(model), reads[0])
        hidden = boundary.capture(inputs)
        given = hidden if places is None else pick(hidden, places).unsqueeze(1)
        with boundary.filled(given), torch.inference_mode():
            assert torch.allclose(model(**shortened(inputs, places)).logits, plain, atol=1e-6)
        assert set(model.state_dict()) == names
        with torch.inference_mode():
            assert torch.equal(model(**inputs).logits, plain)
    with torch.inference_mode():
        assert torch.equal(model(**inputs).logits, plain)
    assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("family", [family for family in (*ENCODERS, *DECODERS) if family != "albert"])
def test_the_upper_block_goes_on_from_the_boundary(folders: dict[str, Path], family: str) -> None:
    model, inputs = opened(folders[family])
    with torch.inference_mode():
        plain = model(**inputs).logits
    with Boundary(model, [stack_of(model).blocks[0][1]]) as boundary:
        assert boundary.reads(inputs, pad_id(model), whole=False) == ("all", 32)
        hidden = boundary.capture(inputs) * inputs["attention_mask"].unsqueeze(2)
        with boundary.filled(hidden), torch.inference_mode():
            assert torch.allclose(model(**inputs).logits, plain, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "mpnet", "gpt2"])
def test_a_head_for_each_word_reads_all_tokens(folders: dict[str, Path], family: str) -> None:
    model, inputs = opened(folders[family], auto=AutoModelForTokenClassification, problem=None)
    with Boundary(model, [block for _, block in stack_of(model).blocks]) as boundary:
        assert boundary.reads(inputs, pad_id(model), whole=True) == ("all", 32)


def test_capturing_leaves_out_what_stands_above(folders: dict[str, Path]) -> None:
    model, inputs = opened(folders["bert"])
    called: list[str] = []
    for name in ("bert.encoder.layer.0", "bert.encoder.layer.1", "classifier"):
        model.get_submodule(name).register_forward_pre_hook(
            lambda _module, _inputs, name=name: called.append(name)
        )
    with Boundary(model, [stack_of(model).blocks[0][1]]) as boundary:
        boundary.capture(inputs)
    assert called == ["bert.encoder.layer.0"]


def test_a_head_that_says_the_same_of_every_text_proves_nothing(folders: dict[str, Path]) -> None:
    model, inputs = opened(folders["bert"])
    torch.nn.init.zeros_(model.classifier.weight)
    with Boundary(model, [block for _, block in stack_of(model).blocks]) as boundary:
        assert boundary.reads(inputs, pad_id(model), whole=True) == ("all", 32)


def test_a_block_that_the_model_does_not_call_can_not_be_kept_apart(folders: dict[str, Path]) -> None:
    model, inputs = opened(folders["bert"])
    with Boundary(model, [torch.nn.Linear(4, 4)]) as boundary:
        assert boundary.reads(inputs, pad_id(model), whole=False) is None


def test_a_decoders_last_token_is_the_last_that_is_no_padding() -> None:
    ids = torch.tensor([[5, 6, 0, 0], [0, 7, 0, 8], [0, 0, 0, 0]])
    assert places_of({"input_ids": ids}, 0, "last").tolist() == [1, 3, 0]  # type: ignore[union-attr]
    assert places_of({"input_ids": ids}, 0, "first").tolist() == [0, 0, 0]  # type: ignore[union-attr]
    assert places_of({"input_ids": ids}, 0, "all") is None
