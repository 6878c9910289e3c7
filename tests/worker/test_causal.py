"""Language models out of any folder of their family, and downloads that write and stop."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.models.finished import labels_of
from tests.worker import tiny
from worker.backbone import load_classifier
from worker.causal import load_causal, with_cache
from worker.export import export_model

TEXTS, _ = tiny.toy(20)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("causal")
    return {
        "gpt2": tiny.build("gpt2", root / "gpt2", TEXTS),
        "llama": tiny.build("llama", root / "llama", TEXTS),
        "without-eos": tiny.build_llama(root / "without-eos", TEXTS, eos=False),
    }


def test_what_is_published_is_loaded_whole_and_trains_without_a_cache(folders: dict[str, Path]) -> None:
    model, tokenizer, told = load_causal(folders["llama"], 1)
    assert told == [] and model.config.use_cache is False
    assert model.generation_config is not None
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 1


def test_a_tokenizer_without_an_end_of_text_gets_one_that_the_model_stops_at(
    folders: dict[str, Path],
) -> None:
    model, tokenizer, _ = load_causal(folders["without-eos"], 1)
    assert model.generation_config is not None
    assert (
        tokenizer.eos_token_id == tokenizer.pad_token_id == model.generation_config.eos_token_id is not None
    )


def test_what_a_model_stopped_at_already_it_goes_on_to_stop_at(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    _copy(folders["llama"], tmp_path, '{"eos_token_id": [7, 9]}')
    model, _, _ = load_causal(tmp_path, 1)
    assert model.generation_config is not None and model.generation_config.eos_token_id == [7, 9, 1]


def test_published_settings_that_cannot_be_saved_are_replaced(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    _copy(folders["llama"], tmp_path / "odd", '{"do_sample": false, "temperature": 0.7, "eos_token_id": 1}')
    model, tokenizer, _ = load_causal(tmp_path / "odd", 1)
    export_model(model, tokenizer, "card", tmp_path / "model")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert again.generation_config.eos_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize(("family", "new"), [("gpt2", False), ("llama", True)])
def test_what_was_made_a_classifier_writes_again_and_a_new_head_is_told_of(
    folders: dict[str, Path], tmp_path: Path, family: str, new: bool
) -> None:
    """GPT-2's head is its embeddings; this Llama's is its own."""
    classifier, tokenizer = load_classifier(folders[family], ["a", "b", "c"], 1)
    export_model(classifier, tokenizer, "card", tmp_path / "classifier")

    model, tokenizer, told = load_causal(tmp_path / "classifier", 1)
    with_cache(model)
    export_model(model, tokenizer, "card", tmp_path / "writer")

    assert bool(told) == new
    assert labels_of(tmp_path / "writer") == []
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "writer")
    assert again.config.use_cache is again.generation_config.use_cache is True


def _copy(folder: Path, target: Path, settings: str) -> None:
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(target)
    AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    (target / "generation_config.json").write_text(settings)
