"""Tiny model folders of real families: two layers, width 32, random weights, a tokenizer trained on `texts`.

They are what a hub would give, only small: config.json, model.safetensors, tokenizer.json. Use them through
a task's `load`, or as HEADSTART_MODELS/NAME under the id local:NAME.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from tests.worker import tiny_tokenizers as tokenizers
from tests.worker.tiny_families import BUILDERS, bert_sizes, llama_sizes, save

ENCODERS = ("bert", "roberta", "distilbert", "electra", "deberta-v2", "mpnet", "albert", "modernbert")
DECODERS = ("gpt2", "llama", "qwen2")
SEQ2SEQ = ("t5", "bart", "marian", "mbart", "nllb")

POSITIVE = ("good", "great", "lovely", "fine", "bright", "superb")
NEGATIVE = ("bad", "awful", "dull", "poor", "weak", "dreadful")
FILLER = ("the", "film", "was", "and", "a", "story", "with", "many", "actors", "in", "one", "long", "evening")


def toy(rows: int = 120) -> tuple[list[str], list[str]]:
    """Texts of 3 to 12 words and their labels, which one word tells: learnable within seconds."""
    texts, labels = [], []
    for row in range(rows):
        words = [FILLER[(row * 7 + place * 5 + row // 13) % len(FILLER)] for place in range(2 + row % 10)]
        positive = (row * 5 // 3) % 2 == 0
        words.insert(row % len(words), (POSITIVE if positive else NEGATIVE)[(row // 2) % 6])
        texts.append(" ".join(words))
        labels.append("positive" if positive else "negative")
    return texts, labels


def build(family: str, folder: Path, texts: Iterable[str], dropout: float = 0.1, width: int = 32) -> Path:
    """A folder of one of ENCODERS, DECODERS or SEQ2SEQ, as its published models are: reads 64 tokens (T5: any number).

    Encoders have the head of their pre-training (ELECTRA: a discriminator's, so none for masked words), the
    others their language model's. "nllb" is an m2m_100 with NLLB's tokenizer. `width`: a multiple of 8.
    """
    if family == "gpt2":
        return build_gpt2(folder, texts, dropout, width)
    if family == "llama":
        return build_llama(folder, texts, dropout=dropout, width=width)
    return BUILDERS[family](folder, list(texts), dropout, width)


def build_bert(folder: Path, texts: Iterable[str], dropout: float = 0.1) -> Path:
    """An encoder like the starter: a bare BertModel whose tokenizer.json truncates and pads by itself."""
    vocab = tokenizers.wordpieces(texts, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=64,
        **names,
    )
    return save(folder, BertModel, BertConfig(vocab_size=len(fast), **bert_sizes(32, dropout)), fast)


def build_gpt2(folder: Path, texts: Iterable[str], dropout: float = 0.1, width: int = 32) -> Path:
    """A decoder without a padding token: "<|endoftext|>" is all it has."""
    end = "<|endoftext|>"
    fast = tokenizers.byte_level(texts, [end], eos_token=end, bos_token=end)
    config = GPT2Config(
        vocab_size=len(fast),
        n_positions=64,
        n_embd=width,
        n_layer=2,
        n_head=4,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
    )
    return save(folder, GPT2LMHeadModel, config, fast)


def build_llama(
    folder: Path, texts: Iterable[str], eos: bool = True, dropout: float = 0.0, width: int = 32
) -> Path:
    """A Llama whose texts begin with "<s>". Without `eos` its tokenizer has no token to pad with."""
    names = {"bos_token": "<s>", "eos_token": "</s>"} if eos else {"bos_token": "<s>"}
    fast = tokenizers.byte_level(texts, ["<s>", "</s>"] if eos else ["<s>"], **names)
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    ids: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1 if eos else None}
    return save(
        folder,
        LlamaForCausalLM,
        LlamaConfig(vocab_size=len(fast), **llama_sizes(width, dropout), **ids),
        fast,
    )


def build_chat_llama(folder: Path, texts: Iterable[str]) -> Path:
    """A Llama with a chat template, as SmolLM2-Instruct: turns between "<|im_start|>" and "<|im_end|>"."""
    start, end = "<|im_start|>", "<|im_end|>"
    fast = tokenizers.byte_level(texts, [start, end], bos_token=start, eos_token=end, pad_token=end)
    fast.chat_template = tokenizers.CHAT_TEMPLATE
    ids: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    return save(
        folder, LlamaForCausalLM, LlamaConfig(vocab_size=len(fast), **llama_sizes(32, 0.0), **ids), fast
    )
