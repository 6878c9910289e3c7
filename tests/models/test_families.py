"""The torch-free table against transformers' own."""

from app.models.families import FAMILIES, SEQ2SEQ, is_decoder


def test_transformers_can_classify_with_every_family_of_ours() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    assert set(FAMILIES) <= set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


def test_the_defaults_are_those_of_transformers() -> None:
    from transformers import AutoConfig

    for name, family in FAMILIES.items():
        if family.default is None:
            continue
        config = AutoConfig.for_model(name).to_dict()
        positions = config.get("max_position_embeddings") or config.get("n_positions")
        assert positions == family.default, name


def test_kinds() -> None:
    assert is_decoder("gpt2") and is_decoder("llama")
    assert not is_decoder("bert") and not is_decoder("unheard-of")
    assert not SEQ2SEQ & set(FAMILIES)
