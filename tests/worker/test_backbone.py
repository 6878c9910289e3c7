import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, MarianConfig, pipeline

from app.core.errors import Invalid
from tests.worker.conftest import LABELS
from worker.backbone import load_classifier, pad_id

FAMILIES = ["bert", "gpt2", "llama", "llama-without-eos"]


def head_of(model: torch.nn.Module) -> torch.Tensor:
    head: Any = model.classifier if hasattr(model, "classifier") else model.score
    return torch.clone(head.weight.detach())


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(folders["bert"], tmp_path / "copy"))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_depends_on_the_seed_alone(folders: dict[str, Path], family: str) -> None:
    first = head_of(load_classifier(folders[family], LABELS, 1)[0])
    torch.rand(17)
    assert torch.equal(first, head_of(load_classifier(folders[family], LABELS, 1)[0]))
    assert not torch.equal(first, head_of(load_classifier(folders[family], LABELS, 2)[0]))
    assert first.std() == pytest.approx(0.02, rel=0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_and_padding_are_in_the_saved_folder(
    folders: dict[str, Path], family: str, tmp_path: Path
) -> None:
    model, tokenizer = load_classifier(folders[family], ["a", "b", "c"], 1)
    assert tokenizer.pad_token_id == model.config.pad_token_id == pad_id(model)
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "right")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c"}
    assert config["problem_type"] == "single_label_classification"
    assert config["pad_token_id"] == tokenizer.pad_token_id
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    assert saved["truncation"] is None
    assert saved["padding"] is None
    leaks = {"max_length", "stride", "local_files_only"}
    assert not leaks & set(json.loads((tmp_path / "tokenizer_config.json").read_text()))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_saved_folder_gives_the_same_outputs_in_plain_transformers(
    folders: dict[str, Path], family: str, tmp_path: Path
) -> None:
    loaded, tokenizer = load_classifier(folders[family], LABELS, 1)
    model: Any = loaded
    texts = ["the film was good", "a long and dull evening with many actors"]
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    model.eval()
    batch = AutoTokenizer.from_pretrained(tmp_path)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        ours = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
        assert torch.equal(ours, again(**batch).logits)
        found: Any = pipeline("text-classification", str(tmp_path), device="cpu")(texts, top_k=None)
    for row, answer in zip(ours.softmax(1).tolist(), found, strict=True):
        assert {one["label"]: one["score"] for one in answer} == pytest.approx(
            dict(zip(LABELS, row, strict=True))
        )


def test_gpt2_pads_with_its_end_of_text(folders: dict[str, Path]) -> None:
    model, tokenizer = load_classifier(folders["gpt2"], LABELS, 1)
    assert tokenizer.pad_token == "<|endoftext|>"
    assert model.config.pad_token_id == 0


def test_a_tokenizer_without_end_of_text_gets_a_token_and_the_model_a_row(folders: dict[str, Path]) -> None:
    loaded, tokenizer = load_classifier(folders["llama-without-eos"], LABELS, 1)
    model: Any = loaded
    assert tokenizer.pad_token == "[PAD]"
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) == pad_id(model) + 1


def test_half_precision_weights_are_trained_in_float32(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, copy / "model.safetensors")
    model, _ = load_classifier(copy, LABELS, 1)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_what_a_config_says_about_outputs_is_not_taken_over(copy: Path) -> None:
    path = copy / "config.json"
    odd = {"return_dict": False, "output_attentions": True, "output_hidden_states": True}
    path.write_text(json.dumps({**json.loads(path.read_text()), **odd}))
    model, tokenizer = load_classifier(copy, LABELS, 1)
    outputs = model(**tokenizer("the film", return_tensors="pt"))
    assert set(outputs) == {"logits"}


def test_a_head_is_kept_for_the_same_labels_only(folders: dict[str, Path], tmp_path: Path) -> None:
    model, tokenizer = load_classifier(folders["bert"], LABELS, 1)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert torch.equal(head_of(load_classifier(tmp_path, LABELS, 2)[0]), head_of(model))
    others = head_of(load_classifier(tmp_path, ["ham", "spam"], 2)[0])
    assert torch.equal(others, head_of(load_classifier(folders["bert"], LABELS, 2)[0]))
    assert head_of(load_classifier(tmp_path, ["a", "b", "c"], 2)[0]).shape == (3, 32)


def test_loading_says_nothing(folders: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    load_classifier(folders["bert"], LABELS, 1)
    load_classifier(folders["llama-without-eos"], LABELS, 1)
    out, err = capfd.readouterr()
    assert out + err == ""


def refused(folder: Path) -> str:
    with pytest.raises(Invalid) as caught:
        load_classifier(folder, LABELS, 1)
    assert caught.value.kind == "model"
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "config.json" in refused(tmp_path)
    assert "config.json" in refused(Path("bert"))


def test_an_adapter_is_refused(copy: Path) -> None:
    (copy / "adapter_config.json").write_text("{}")
    assert "adapter" in refused(copy)


def test_weights_in_another_format_are_refused(copy: Path) -> None:
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert "safetensors" in refused(copy)


def test_broken_weights_are_refused(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"no tensors here")
    assert "download it again" in refused(copy)


def test_a_trunk_that_does_not_fit_its_config_is_refused(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    assert "don't fit" in refused(copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(copy: Path, value: float) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7, 3] = value
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Invalid, match=r"not numbers \(bert\.embeddings\.word_embeddings\.weight\)"):
        load_classifier(copy, LABELS, 1)


def test_a_family_without_the_head_of_the_task_is_refused(copy: Path) -> None:
    MarianConfig(vocab_size=50, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0).save_pretrained(
        copy
    )
    assert "can't do this task" in refused(copy)


def test_a_broken_tokenizer_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{")
    assert "tokenizer" in refused(copy)
