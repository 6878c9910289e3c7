"""A model's stack by the names and shapes in its headers. tests/worker/transfer/test_blocks.py compares it with the loaded models."""

from dataclasses import replace
from pathlib import Path

from app.models.info import ModelInfo
from app.models.learning import words_of
from app.models.stack import stack_from, stack_of
from app.models.starter import starter
from tests.models.conftest import WriteModel, safetensors

BERT = {"model_type": "bert", "hidden_size": 4, "num_attention_heads": 2, "num_hidden_layers": 2}


def shapes(prefix: str = "") -> dict[str, tuple[int, ...]]:
    """A BERT of two blocks with its pooler."""
    blocks = {
        f"{prefix}encoder.layer.{number}.{name}": shape
        for number in (0, 1)
        for name, shape in {"dense.weight": (6, 4), "dense.bias": (6,), "LayerNorm.weight": (4,)}.items()
    }
    table = {
        f"{prefix}embeddings.word_embeddings.weight": (50, 4),
        f"{prefix}embeddings.LayerNorm.weight": (4,),
    }
    return {**table, **blocks, f"{prefix}pooler.dense.weight": (4, 4)}


def test_the_starter() -> None:
    stack = stack_of(starter())
    assert stack is not None
    assert (stack.embeddings, stack.blocks) == (11_918_592, (1_774_464,) * 6)
    assert stack.head("classification", 2, own=True) == 384 * 384 + 384 + 2 * 385
    assert stack_of(starter()) is stack


def test_a_trunk_alone_and_one_in_a_class_are_the_same() -> None:
    alone, inside = stack_from(shapes(), BERT), stack_from(shapes("bert."), BERT)
    assert alone is not None and inside is not None
    assert replace(inside, matrices=alone.matrices) == alone
    assert (alone.embeddings, alone.blocks, alone.vocabulary) == (204, (34, 34), 0)
    assert alone.matrices[0] == {"encoder.layer.0.dense": (6, 4)}


def test_what_is_tied_or_no_weight_counts_once_or_not_at_all() -> None:
    extra = {
        "cls.predictions.decoder.weight": (50, 4),
        "cls.predictions.bias": (50,),
        "bert.encoder.layer.0.attention.bias": (1, 1, 8, 8),
        "bert.encoder.layer.0.rotary_emb.inv_freq": (2,),
    }
    stack = stack_from({**shapes("bert."), **extra}, BERT)
    assert stack is not None
    assert (stack.blocks, stack.vocabulary) == ((34, 34), 50)
    untied = stack_from({**shapes("bert."), **extra}, {**BERT, "tie_word_embeddings": False})
    assert untied is not None and untied.vocabulary == 250


def test_an_encoders_blocks_come_before_a_decoders() -> None:
    def block(path: str) -> dict[str, tuple[int, ...]]:
        return {f"model.{path}.layers.{number}.fc.weight": (8, 8 + number) for number in range(11)}

    table = {"model.shared.weight": (50, 8), "model.encoder.embed_tokens.weight": (50, 8)}
    found = {**block("decoder"), **block("encoder"), "model.decoder.layer_norm.weight": (8,), **table}
    stack = stack_from(found, {"model_type": "mbart", "d_model": 8, "encoder_attention_heads": 2})
    assert stack is not None and stack.depth == 22 and stack.embeddings == 400
    assert stack.blocks[9:12] == (8 * 17, 8 * 18, 8 * 8) and stack.blocks[-1] == 8 * 18 + 8
    assert list(stack.matrices[21]) == ["model.decoder.layers.10.fc"]


def test_nothing_is_told_of_a_model_that_is_not_here_or_has_no_blocks(write_model: WriteModel) -> None:
    assert stack_of(ModelInfo("hub:x", "x", "bert", "hub", [])) is None
    assert stack_of(replace(starter(), path=write_model("flat"))) is None
    assert stack_of(replace(starter(), path=Path("/nowhere"))) is None


def test_other_weights_in_the_same_folder_are_read_anew(write_model: WriteModel) -> None:
    folder = write_model("grows")
    model = replace(starter(), path=folder)
    assert stack_of(model) is None
    found = {name: ("F32", list(shape)) for name, shape in shapes().items()}
    (folder / "model.safetensors").write_bytes(safetensors(found))
    stack = stack_of(model)
    assert stack is not None and stack.depth == 2


def test_a_strategy_in_words() -> None:
    assert words_of({"kind": "partial", "layers": 2}, 6) == "last 2 of 6 blocks"
    assert words_of({"kind": "partial", "layers": 1}) == "last block"
    assert words_of({"kind": "lora", "rank": 16, "alpha": None}) == "LoRA, rank 16, alpha 32"
    assert words_of({"kind": "gradual", "over": 0.5, "layer_decay": 0.9}) == (
        "gradual over 50 % of the steps, layer decay 0.9"
    )
    assert words_of({"kind": "full", "head_first": True, "layer_decay": None}) == "full, head fitted first"
    assert words_of({"kind": "magic"}) == "magic"
