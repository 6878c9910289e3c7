from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from app.core.errors import Invalid
from app.core.strategies import Lora
from tests.worker.conftest import LABELS, Case
from tests.worker.tiny import DECODERS, ENCODERS, SEQ2SEQ, build, toy
from worker.backbone import load_classifier, pad_id, quiet
from worker.loop import Recipe, Step, train
from worker.losses import CrossEntropy
from worker.transfer import Plan, make_plan
from worker.transfer.blocks import stack_of

# Only of PeftModel, which Headstart doesn't use: whoever downloads an adapter does.
PEFT_ITSELF = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
CPU = torch.device("cpu")
RECIPE = Recipe(8, 8, 1, 5e-3, 0.1, 0.0, 1.0, None, None, 1)
AUTO = {
    **dict.fromkeys(ENCODERS, AutoModelForSequenceClassification),
    **dict.fromkeys(DECODERS, AutoModelForCausalLM),
    **dict.fromkeys(SEQ2SEQ, AutoModelForSeq2SeqLM),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root, texts = tmp_path_factory.mktemp("families"), toy(40)[0]

    def folder(family: str) -> Path:
        path = root / family
        return path if path.exists() else build(family, path, texts)

    return folder


def lora(**options: Any) -> Lora:
    return Lora(kind="lora", **{"rank": 4, **options})


def opened(folder: Path, auto: Any) -> Any:
    with quiet():
        return auto.from_pretrained(folder).eval()


def moved(model: Any) -> None:
    """As if it had learned: every parameter of an adapter, B included, is something."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def answered(model: Any) -> torch.Tensor:
    ids = torch.arange(24).reshape(2, 12) % 20 + 5
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = ids[:, :7]
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()(**given).logits
    return logits.clone()


def learn(case: Case, options: Lora, seed: int = 1) -> tuple[Plan, list[float]]:
    plan = make_plan(case.model, options, 0.0, seed)
    objective = CrossEntropy(case.data, case.truth, pad_id(case.model))
    events = train(case.model, objective, RECIPE, plan, None, "accuracy", CPU)
    return plan, [event.loss for event in events if isinstance(event, Step)]


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *SEQ2SEQ])
def test_a_fresh_adapter_changes_nothing_and_the_merged_model_answers_like_the_unmerged(
    built: Callable[[str], Path], family: str
) -> None:
    model = opened(built(family), AUTO[family])
    names, before = list(model.state_dict()), answered(model)

    plan = make_plan(model, lora(dropout=0.1), 0.0)
    assert torch.equal(answered(model), before)
    moved(model)
    unmerged = answered(model)
    assert plan.finish is not None
    plan.finish()
    merged = answered(model)

    assert not torch.allclose(unmerged, before, atol=1e-3)
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-5)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *SEQ2SEQ])
def test_each_matrix_of_each_block_has_an_adapter_and_nothing_else_of_the_trunk_learns(
    built: Callable[[str], Path], family: str
) -> None:
    model = opened(built(family), AUTO[family])
    stack = stack_of(model)
    matrices = {name for name, parameter in model.named_parameters() if parameter.ndim == 2}
    inside = {name for name in matrices if 0 < stack.level[name] < stack.top and "bias" not in name}
    plan = make_plan(model, lora(), 0.0)
    learning = {name for group in plan.groups for name in group.names}

    adapted = {name.split(".lora_")[0] + ".weight" for name in learning if ".lora_" in name}
    assert adapted == inside
    assert {name for name in learning if ".lora_" not in name} <= set(stack.of(stack.top))
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@PEFT_ITSELF
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "gpt2", "llama"])
def test_peft_loads_the_adapter_onto_the_base_and_gets_the_download(
    built: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    from peft import PeftModel

    model, _ = load_classifier(built(family), LABELS, 1)
    plan = make_plan(model, lora(), 0.0)
    moved(model)
    assert plan.finish is not None and plan.beside is not None
    plan.finish()
    plan.beside(tmp_path / "adapter", str(built(family)))

    with quiet():
        base = AutoModelForSequenceClassification.from_pretrained(
            built(family), num_labels=2, pad_token_id=model.config.pad_token_id
        )
        loaded = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    torch.testing.assert_close(answered(loaded), answered(model), atol=1e-5, rtol=1e-5)
    assert "AutoModel" not in (tmp_path / "adapter" / "README.md").read_text(encoding="utf-8")


@PEFT_ITSELF
@pytest.mark.parametrize(("family", "auto"), [("bert", AutoModelForMaskedLM), ("t5", AutoModelForSeq2SeqLM)])
def test_the_matrix_of_the_vocabulary_is_no_head(
    built: Callable[[str], Path], tmp_path: Path, family: str, auto: Any
) -> None:
    model = opened(built(family), auto)
    before = model.get_output_embeddings().weight.clone()
    plan = make_plan(model, lora(), 0.0)
    moved(model)
    assert plan.finish is not None and plan.beside is not None
    plan.finish()
    plan.beside(tmp_path / "adapter", "base")
    assert torch.equal(model.get_output_embeddings().weight, before)
    from peft import PeftModel

    loaded = PeftModel.from_pretrained(opened(built(family), auto), str(tmp_path / "adapter"))
    torch.testing.assert_close(answered(loaded), answered(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_it_learns_the_same_bits_again_and_the_base_keeps_its_own(
    case: Callable[..., Case], family: str
) -> None:
    runs = []
    for _ in range(2):
        torch.rand(7)  # what ran before must not matter
        one = case(family, rows=120)
        before = one.weights()
        plan, losses = learn(one, lora(rank=8))
        for name, tensor in one.model.named_parameters():
            if not tensor.requires_grad:
                assert torch.equal(tensor, before[name.replace(".base_layer", "")]), name
        assert plan.finish is not None
        plan.finish()
        runs.append((losses, one.weights()))
    (losses, first), (_, again) = runs
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())


def test_the_adapter_is_drawn_from_the_seed(case: Callable[..., Case]) -> None:
    drawn = []
    for seed in (1, 1, 2):
        model = case().model
        make_plan(model, lora(), 0.0, seed)
        drawn.append(next(tensor for name, tensor in model.named_parameters() if ".lora_A" in name))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_alpha_is_twice_the_rank_unless_it_is_said(case: Callable[..., Case]) -> None:
    def scale(**options: Any) -> float:
        model = case().model
        make_plan(model, lora(**options), 0.0)
        return float(model.bert.encoder.layer[1].output.dense.scaling["default"])

    assert scale(rank=8) == 2.0
    assert scale(rank=8, alpha=4) == 0.5


def test_named_targets_are_all_that_is_adapted(case: Callable[..., Case]) -> None:
    model = case().model
    plan = make_plan(model, lora(targets=["query", "attention.output.dense"]), 0.0)
    adapted = {name.split(".lora_")[0] for group in plan.groups for name in group.names if ".lora_" in name}
    layers = [f"bert.encoder.layer.{layer}.attention" for layer in (0, 1)]
    assert adapted == {f"{layer}.{name}" for layer in layers for name in ("self.query", "output.dense")}


def test_a_target_that_is_not_there_is_named_with_those_that_are(case: Callable[..., Case]) -> None:
    with pytest.raises(
        Invalid, match=r"strategy.targets: no block has a matrix 'q_proj'; there are query, key, value, dense"
    ):
        make_plan(case().model, lora(targets=["query", "q_proj"]), 0.0)
