"""Reading model folders without torch, and refusing what could run code or lead elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.models.inspect import Unusable, check_config, inspect_folder, longest_input
from tests.models.conftest import BERT, WEIGHTS, WriteModel, safetensors


def test_a_folder_is_known_by_its_headers(write_model: WriteModel, models: Path) -> None:
    found = inspect_folder(write_model("tiny"), models)

    # The buffer of 64 whole numbers is no parameter.
    assert (found.family, found.parameters, found.max_length, found.bytes) == ("bert", 80, 64, len(WEIGHTS))


def test_parameters_are_those_that_torch_counts(tmp_path: Path) -> None:
    from app.models.starter import starter

    found = starter()

    assert found.parameters == 22_713_216
    assert (found.family, found.max_length) == ("bert", 512)


@pytest.mark.parametrize(
    ("config", "tokenizer", "limit"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, {}, 512),
        ({"model_type": "bert"}, {}, 512),
        ({"model_type": "distilbert", "max_position_embeddings": 512}, {"model_max_length": 128}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514}, {}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        ({"model_type": "camembert", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        # MPNet's offset is fixed in its code, whatever the config says.
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 0}, {}, 512),
        (
            {"model_type": "deberta-v2", "max_position_embeddings": 512, "position_biased_input": False},
            {},
            512,
        ),
        ({"model_type": "modernbert", "max_position_embeddings": 8192}, {}, 8192),
        ({"model_type": "gpt2", "n_positions": 1024}, {}, 1024),
        ({"model_type": "gpt2", "n_positions": 64, "n_ctx": 32}, {}, 64),
        ({"model_type": "llama", "max_position_embeddings": 2048}, {}, 2048),
        ({"model_type": "bloom"}, {}, None),
        ({"model_type": "bloom"}, {"model_max_length": 700}, 700),
        ({"model_type": "bloom"}, {"model_max_length": 10**30}, None),
        ({"model_type": "mistral"}, {"model_max_length": 1e30}, None),
        # BART's table of positions has two more rows than its config says, of its own accord.
        ({"model_type": "bart", "max_position_embeddings": 1024, "pad_token_id": 1}, {}, 1024),
        ({"model_type": "marian", "max_position_embeddings": 512}, {}, 512),
        ({"model_type": "mbart"}, {}, 1024),
        ({"model_type": "m2m_100", "max_position_embeddings": 1024}, {"model_max_length": 512}, 1024),
        ({"model_type": "t5", "n_positions": 512}, {}, None),
        ({"model_type": "t5"}, {"model_max_length": 512}, 512),
    ],
)
def test_longest_input_by_family(
    config: dict[str, Any], tokenizer: dict[str, Any], limit: int | None
) -> None:
    assert longest_input(config, tokenizer) == limit


@pytest.mark.parametrize("value", ["512", 3.5, True, [512], -1, 0])
def test_a_nonsensical_number_of_positions_is_refused(value: object) -> None:
    with pytest.raises(Unusable, match="max_position_embeddings"):
        longest_input({"model_type": "bert", "max_position_embeddings": value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "code of its own .auto_map in config.json"),
        ({"text_config": {"auto_map": {"AutoModel": "evil.Model"}}}, "code of its own"),
        ({"quantization_config": {"quant_method": "gptq"}}, "is quantised"),
        ({"compression_config": {"format": "int"}}, "is quantised"),
        ({"transformers_weights": "adapter_model.bin"}, "transformers_weights"),
        ({"attn_implementation": "owner/kernel"}, "code of the model hub"),
        ({"text_config": {"_attn_implementation": {"": "owner/kernel"}}}, "code of the model hub"),
        ({"num_labels": 10**9}, "has num_labels 1000000000"),
        ({"num_hidden_layers": 10**7}, "num_hidden_layers"),
        ({"encoder_layers": 10**7}, "encoder_layers"),
        ({"model_type": "whisper"}, "can't be fine-tuned here; families that can: .*bert.*marian"),
        ({"model_type": None}, "no model_type"),
        ({"model_type": ["bert"]}, "no model_type"),
    ],
)
def test_configs_that_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Unusable, match=sentence):
        check_config({**BERT, **change})


@pytest.mark.parametrize("name", ["../tokenizer.1.json", "/etc/tokenizer.1.json", 3])
def test_a_tokenizer_file_outside_of_the_folder_is_refused(name: object) -> None:
    with pytest.raises(Unusable, match="tokenizer file outside"):
        check_config(BERT, {"fast_tokenizer_files": [name]})


@pytest.mark.parametrize(
    "name", ["vocab", "merges", "gguf_file", "source_spm", "target_vocab_file", "spm_file"]
)
def test_a_vocabulary_that_the_tokenizers_config_names_is_refused(name: str) -> None:
    with pytest.raises(Unusable, match="vocabulary file of its own"):
        check_config(BERT, {name: "/etc/passwd"})
    assert check_config({**BERT, "attn_implementation": "sdpa"}, {name: None, "vocab_file": "vocab.txt"})


def test_auto_map_of_the_tokenizer_is_refused(write_model: WriteModel) -> None:
    folder = write_model("tiny")
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}')

    with pytest.raises(Unusable, match=r"auto_map in tokenizer_config\.json"):
        inspect_folder(folder)


def test_a_planted_adapter_is_refused(write_model: WriteModel) -> None:
    folder = write_model("tiny")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')

    with pytest.raises(Unusable, match=r"adapter_config\.json, which can redirect the load"):
        inspect_folder(folder)


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer"),
        ("model.safetensors", "has no weights: model.safetensors is missing"),
    ],
)
def test_a_missing_file_is_named(write_model: WriteModel, missing: str, sentence: str) -> None:
    with pytest.raises(Unusable, match=sentence):
        inspect_folder(write_model("tiny", leave_out=(missing,)))


def test_what_the_tokenizers_files_say_is_told(write_model: WriteModel) -> None:
    folder = write_model("nllb", {"model_type": "m2m_100"})
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "NllbTokenizer", "model_max_length": 64}'
    )
    (folder / "special_tokens_map.json").write_text('{"additional_special_tokens": ["fra_Latn", "eng_Latn"]}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")

    found = inspect_folder(folder)

    assert (found.languages, found.has_chat_template) == (["eng_Latn", "fra_Latn"], True)
    assert not inspect_folder(write_model("tiny")).has_chat_template


def test_a_model_whose_tokenizer_is_missing_is_refused(write_model: WriteModel) -> None:
    folder = write_model("opus", {"model_type": "marian"}, leave_out=("tokenizer.json",))

    with pytest.raises(Unusable, match=r"has no tokenizer: .*source\.spm, target\.spm, vocab\.json"):
        inspect_folder(folder)
    for name in ("source.spm", "target.spm", "vocab.json"):
        (folder / name).write_text("a")
    assert inspect_folder(folder).family == "marian"


def test_pickled_weights_alone_are_refused_with_the_way_to_convert_them(write_model: WriteModel) -> None:
    folder = write_model("tiny", leave_out=("model.safetensors",))
    (folder / "pytorch_model.bin").write_bytes(b"\x80")

    with pytest.raises(Unusable, match=r"only as pytorch_model\.bin.*save_pretrained"):
        inspect_folder(folder)


def test_shards_are_counted_together(write_model: WriteModel, models: Path) -> None:
    folder = write_model("tiny", leave_out=("model.safetensors",))
    shard = safetensors({"a": ("BF16", [3, 2])})
    for number in (1, 2):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(shard)
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    found = inspect_folder(folder, models)

    assert (found.parameters, found.bytes) == (12, 2 * len(shard))


@pytest.mark.parametrize(
    ("weight_map", "sentence"),
    [
        ({"a": "../other/model.safetensors"}, "shards are safetensors files in the same folder"),
        ({"a": "/etc/model.safetensors"}, "same folder"),
        ({"a": "pytorch_model.bin"}, "same folder"),
        ({"a": 3}, "same folder"),
        (
            {"a": "model-00001-of-00002.safetensors"},
            "is incomplete: model-00001-of-00002.safetensors is missing",
        ),
        ({}, "no weight_map"),
        (None, "no weight_map"),
    ],
)
def test_an_index_that_leads_outside_or_nowhere_is_refused(
    write_model: WriteModel, weight_map: object, sentence: str
) -> None:
    folder = write_model("tiny", leave_out=("model.safetensors",))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    with pytest.raises(Unusable, match=sentence):
        inspect_folder(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no safetensors file, or is cut short"),
        (b"\xff" * 64, "no safetensors file, or is cut short"),
        (WEIGHTS[:-1], "is cut short: copy it again"),
        ((8).to_bytes(8, "little") + b"not json" + bytes(8), "header that can't be read"),
        ((2).to_bytes(8, "little") + b"[]" + bytes(8), "header that can't be read"),
        (safetensors({"a": ("I64", [4])}), "no floating-point weights"),
    ],
)
def test_broken_weights_are_told_from_whole_ones(
    write_model: WriteModel, content: bytes, sentence: str
) -> None:
    folder = write_model("tiny")
    (folder / "model.safetensors").write_bytes(content)

    with pytest.raises(Unusable, match=sentence):
        inspect_folder(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_no_object_is_refused(write_model: WriteModel, content: bytes) -> None:
    folder = write_model("tiny")
    (folder / "config.json").write_bytes(content)

    with pytest.raises(Unusable, match=r"has a config\.json that"):
        inspect_folder(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "added_tokens.json", "extras"])
def test_a_link_inside_the_folder_must_stay_under_the_root(
    write_model: WriteModel, models: Path, tmp_path: Path, name: str
) -> None:
    folder = write_model("tiny")
    secret = tmp_path / "secret"
    secret.write_bytes(WEIGHTS)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)

    with pytest.raises(Unusable, match=f"a link that leaves its folder: {name}"):
        inspect_folder(folder, models)


@pytest.mark.parametrize("folder_is_a_link", [False, True])
def test_a_link_in_a_folder_of_the_model_counts_too(
    write_model: WriteModel, models: Path, tmp_path: Path, folder_is_a_link: bool
) -> None:
    folder = write_model("tiny")
    templates = models / "templates" if folder_is_a_link else folder / "additional_chat_templates"
    templates.mkdir()
    (tmp_path / "secret").write_text("secret")
    (templates / "x.jinja").symlink_to(tmp_path / "secret")
    if folder_is_a_link:
        (folder / "additional_chat_templates").symlink_to(templates)

    with pytest.raises(Unusable, match=r"a link that leaves its folder: x\.jinja"):
        inspect_folder(folder, models)


def test_a_link_to_a_sibling_under_the_root_is_fine(write_model: WriteModel, models: Path) -> None:
    folder, other = write_model("tiny", leave_out=("model.safetensors",)), write_model("other")
    (folder / "model.safetensors").symlink_to(other / "model.safetensors")

    assert inspect_folder(folder, models).parameters == 80


def test_a_link_to_nothing_is_named(write_model: WriteModel, models: Path) -> None:
    folder = write_model("tiny")
    (folder / "vocab.txt").symlink_to(folder / "gone.txt")

    with pytest.raises(Unusable, match=r"leads nowhere: vocab\.txt"):
        inspect_folder(folder, models)
