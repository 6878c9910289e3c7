"""Which names stand for weights that nobody can have."""

import pytest

from app.models.published import is_unpublished

CLOSED = """
gpt4, gpt-4, GPT 4, GPT_4, gpt-4o, gpt-4o-mini, gpt-4-turbo, gpt-4-0613, gpt-4-32k, gpt-4.1-nano, gpt3, gpt-3.5-turbo,
gpt-3.5-turbo-16k, gpt-35-turbo, gpt-5, gpt5-mini, ChatGPT, chatgpt-4o-latest, hub:gpt4, hub: GPT-4, openai/gpt-4,
hub:openai/gpt-4o, openai:gpt-4, hub:Xenova/gpt-4, o1, o1-preview, o3-mini, o4-mini, text-davinci-003, davinci,
text-embedding-3-small, claude, Claude 3.5 Sonnet, claude-3-opus-20240229, claude-sonnet-4-5, anthropic/claude-2.1,
claude-x9, gemini, gemini-1.5-pro, Gemini Ultra, google/gemini-2.0-flash-exp, bard, PaLM 2, grok-3, copilot
"""
OPEN = """
gpt2, gpt-2, hub:gpt2, openai-community/gpt2, openai-community/openai-gpt, openai/gpt-oss-20b, openai-gpt,
EleutherAI/gpt-neo-125m, gpt-j-6b, EleutherAI/gpt-neox-20b, nomic-ai/gpt4all-j, gpt-sw3, starter, roberta-base,
distilbert-base-uncased, google/gemma-2b, google/bert_uncased_L-2_H-128_A-2, someone/claude-style-bert,
someone/chatgpt-prompts-bert, someone/gemini-reviews, local:mpnet-base, opt-125m, xai-org/grok-1, o2, adapter,
google/electra-small-discriminator, microsoft/deberta-v3-base, hub:, -
"""


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


@pytest.mark.parametrize("model", names(CLOSED))
def test_closed_models_are_known(model: str) -> None:
    assert is_unpublished(model)


@pytest.mark.parametrize("model", names(OPEN))
def test_open_models_are_let_through(model: str) -> None:
    assert not is_unpublished(model)


@pytest.mark.parametrize("model", ["gpt\u20114", "GPT\u20134o", "\uff47\uff50\uff54\uff14", "gpt\u00a04"])
def test_other_hyphens_and_widths_are_the_same_name(model: str) -> None:
    assert is_unpublished(model)


def test_nothing_typed_is_no_closed_model() -> None:
    assert not is_unpublished("")
