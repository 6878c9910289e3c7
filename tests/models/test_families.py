"""The torch-free table against transformers' own."""

import pytest

from app.models.families import FAMILIES, architecture_of, is_decoder, tasks_for

ENCODER = ["classification", "multilabel", "pair", "score", "tagging", "adaptation"]


def heads(task: str, family: str) -> set[str]:
    """The families for which transformers has the head of a task."""
    from transformers.models.auto import modeling_auto as auto

    if task == "tagging":
        return set(auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES)
    if task == "text2text":
        return set(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    if task == "adaptation" and architecture_of(family) == "encoder":
        return set(auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    if task in ("adaptation", "generation"):
        return set(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    return set(auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_has_the_head_of_each_task_of_a_family_and_of_no_other_task(family: str) -> None:
    if architecture_of(family) == "seq2seq":
        possible = ["text2text"]
    else:
        possible = [*ENCODER[:-1], *(["generation"] if is_decoder(family) else []), "adaptation"]

    assert tasks_for(family) == [task for task in possible if family in heads(task, family)]


def test_the_defaults_are_those_of_transformers() -> None:
    from transformers import AutoConfig

    for name, family in FAMILIES.items():
        if family.default is None:
            continue
        config = AutoConfig.for_model(name).to_dict()
        positions = config.get("max_position_embeddings") or config.get("n_positions")
        assert positions == family.default, name


@pytest.mark.parametrize(
    ("family", "architecture", "tasks"),
    [
        ("bert", "encoder", ENCODER),
        ("gpt2", "decoder", [*ENCODER[:-1], "generation", "adaptation"]),
        ("olmo2", "decoder", ["classification", "multilabel", "pair", "score", "generation", "adaptation"]),
        ("marian", "seq2seq", ["text2text"]),
        ("whisper", None, []),
    ],
)
def test_what_a_family_can_do(family: str, architecture: str | None, tasks: list[str]) -> None:
    assert architecture_of(family) == architecture
    assert is_decoder(family) == (architecture == "decoder")
    assert tasks_for(family) == tasks
