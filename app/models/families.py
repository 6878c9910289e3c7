"""The families that can classify text here, by config.json's model_type.

A torch-free part of transformers' table of sequence classification models (a test holds it to that table): single
text encoders and decoders. Left out: encoder-decoders (T5, BART), models of more than text, models of
proteins, and those whose answer depends on the padding beside a text (FNet, Nyströmformer).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """`positions`: where the number of position embeddings comes from.

    plain    the field itself
    offset   the field less pad_token_id + 1: positions begin behind the padding's index (RoBERTa's heritage)
    none     no table of positions (ALiBi, relative positions): the tokenizer's limit, if it has one
    `default`: what transformers takes when config.json leaves the field out.
    """

    kind: Literal["encoder", "decoder"]
    positions: Literal["plain", "offset", "none"] = "plain"
    default: int | None = None


_ENCODER = Family("encoder", default=512)
_ROBERTA = Family("encoder", "offset", default=512)
_DECODER = Family("decoder")

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
    "gemma3_text": _DECODER,
    "glm": _DECODER,
    "gpt2": Family("decoder", default=1024),
    "gpt_bigcode": Family("decoder", default=1024),
    "gpt_neo": Family("decoder", default=2048),
    "gpt_neox": Family("decoder", default=2048),
    "gptj": Family("decoder", default=2048),
    "llama": Family("decoder", default=2048),
    "mistral": _DECODER,
    "mixtral": _DECODER,
    "olmo": Family("decoder", default=2048),
    "olmo2": Family("decoder", default=2048),
    "openai-gpt": Family("decoder", default=512),
    "opt": Family("decoder", default=2048),
    "phi": Family("decoder", default=2048),
    "phi3": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "smollm3": _DECODER,
    "stablelm": _DECODER,
    "starcoder2": _DECODER,
}

# Encoder-decoders are named in the refusal: "not yet" is another answer than "never".
SEQ2SEQ = {"bart", "bigbird_pegasus", "marian", "mbart", "mt5", "pegasus", "t5", "umt5"}


def is_decoder(family: str) -> bool:
    return family in FAMILIES and FAMILIES[family].kind == "decoder"


def tasks_for(family: str) -> list[str]:
    """The names of the tasks that a family can do."""
    if family not in FAMILIES:
        return []
    heads = ["classification", "multilabel", "pair", "score", "tagging"]
    return [*heads, "generation", "adaptation"] if is_decoder(family) else [*heads, "adaptation"]
