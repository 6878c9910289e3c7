"""Tiny model folders of real families: two layers, width 32, random weights, a tokenizer trained on `texts`.

They are what a hub would give, only small: config.json, model.safetensors, tokenizer.json. Use them through
load_classifier, or as HEADSTART_MODELS/NAME under the id local:NAME.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

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


def build_bert(folder: Path, texts: Iterable[str], dropout: float = 0.1) -> Path:
    """An encoder like the starter: a bare BertModel whose tokenizer.json truncates and pads by itself."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
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
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return _save(folder, BertModel, config, fast)


def build_gpt2(folder: Path, texts: Iterable[str], dropout: float = 0.1) -> Path:
    """A decoder without a padding token: "<|endoftext|>" is all it has."""
    fast = _byte_level(texts, ["<|endoftext|>"], eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    config = GPT2Config(
        vocab_size=len(fast),
        n_positions=64,
        n_embd=32,
        n_layer=2,
        n_head=4,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _save(folder, GPT2LMHeadModel, config, fast)


def build_llama(folder: Path, texts: Iterable[str], eos: bool = True) -> Path:
    """A Llama whose texts begin with "<s>". Without `eos` its tokenizer has no token to pad with."""
    names = {"bos_token": "<s>", "eos_token": "</s>"} if eos else {"bos_token": "<s>"}
    fast = _byte_level(texts, ["<s>", "</s>"] if eos else ["<s>"], **names)
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1 if eos else None,
    )
    return _save(folder, LlamaForCausalLM, config, fast)


def _byte_level(texts: Iterable[str], special: list[str], **names: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)  # type: ignore[no-untyped-call]


def _save(
    folder: Path,
    family: type[PreTrainedModel],
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
) -> Path:
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    family(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
