"""The families that can be fine-tuned here, by config.json's model_type, and the tasks of each.

A torch-free part of transformers' tables of models by head (a test holds it to those tables): text encoders, decoders
and encoder-decoders. Left out: models of more than text, models of proteins, and those whose answer depends on the
padding beside a text (FNet, Nyströmformer).
"""

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["encoder", "decoder", "seq2seq"]


@dataclass(frozen=True)
class Family:
    """`positions`: where the number of position embeddings comes from.

    plain    the field itself
    offset   the field less pad_token_id + 1: positions begin behind the padding's index (RoBERTa's heritage)
    none     no table of positions (ALiBi, relative positions): the tokenizer's limit, if it has one
    `default`: what transformers takes when config.json leaves the field out.
    `tags`: whether transformers has a token classification head for it.
    """

    kind: Architecture
    positions: Literal["plain", "offset", "none"] = "plain"
    default: int | None = None
    tags: bool = True


_ENCODER = Family("encoder", default=512)
_ROBERTA = Family("encoder", "offset", default=512)
_DECODER = Family("decoder")
_SEQ2SEQ = Family("seq2seq", default=1024)

FAMILIES: dict[str, Family] = {
    "albert": _ENCODER,
    "bert": _ENCODER,
    "camembert": _ROBERTA,
    "convbert": _ENCODER,
    "data2vec-text": _ROBERTA,
    "deberta": _ENCODER,
    "deberta-v2": _ENCODER,
    "distilbert": _ENCODER,
    "electra": _ENCODER,
    "ernie": _ENCODER,
    "eurobert": Family("encoder", default=8192),
    "longformer": _ROBERTA,
    "megatron-bert": _ENCODER,
    "mobilebert": _ENCODER,
    "modernbert": Family("encoder", default=8192),
    "mpnet": _ROBERTA,
    "nomic_bert": Family("encoder", default=2048),
    "rembert": _ENCODER,
    "roberta": _ROBERTA,
    "roberta-prelayernorm": _ROBERTA,
    "roformer": Family("encoder", default=1536),
    "squeezebert": _ENCODER,
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": Family("encoder", "offset", default=514),
    "biogpt": Family("decoder", default=1024),
    "bloom": Family("decoder", "none"),
    "falcon": Family("decoder", default=2048),
    "gemma": _DECODER,
    "gemma2": _DECODER,
    "gemma3_text": Family("decoder", tags=False),
    "glm": _DECODER,
    "gpt2": Family("decoder", default=1024),
    "gpt_bigcode": Family("decoder", default=1024),
    "gpt_neo": Family("decoder", default=2048),
    "gpt_neox": Family("decoder", default=2048),
    "gptj": Family("decoder", default=2048, tags=False),
    "llama": Family("decoder", default=2048),
    "mistral": _DECODER,
    "mixtral": _DECODER,
    "olmo": Family("decoder", default=2048, tags=False),
    "olmo2": Family("decoder", default=2048, tags=False),
    "openai-gpt": Family("decoder", default=512, tags=False),
    "opt": Family("decoder", default=2048, tags=False),
    "phi": Family("decoder", default=2048),
    "phi3": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "smollm3": _DECODER,
    "stablelm": _DECODER,
    "starcoder2": _DECODER,
    "bart": _SEQ2SEQ,
    "m2m_100": _SEQ2SEQ,
    "marian": _SEQ2SEQ,
    "mbart": _SEQ2SEQ,
    "mt5": Family("seq2seq", "none"),
    "pegasus": _SEQ2SEQ,
    "t5": Family("seq2seq", "none"),
    "umt5": Family("seq2seq", "none"),
}


def architecture_of(family: str) -> Architecture | None:
    """None for a family that is not in the table."""
    return FAMILIES[family].kind if family in FAMILIES else None


def is_decoder(family: str) -> bool:
    return architecture_of(family) == "decoder"


def tasks_for(family: str) -> list[str]:
    """The names of the tasks that a family can do: those for which transformers has its head."""
    if family not in FAMILIES:
        return []
    known = FAMILIES[family]
    if known.kind == "seq2seq":
        return ["text2text"]
    heads = ["classification", "multilabel", "pair", "score"]
    tagging = ["tagging"] if known.tags else []
    writing = ["generation"] if known.kind == "decoder" else []
    return [*heads, *tagging, *writing, "adaptation"]
