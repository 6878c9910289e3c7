"""Each family's tiny model: its real configuration class, its tokenizer, its class with the head of pre-training.

Decoders that tests change (GPT-2, Llama) are in tiny.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForPreTraining,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.worker import tiny_tokenizers as tokenizers


def _bert(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.bert(texts)
    return save(folder, BertForMaskedLM, BertConfig(vocab_size=len(fast), **bert_sizes(width, dropout)), fast)


def _roberta(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.roberta(texts)
    # Positions begin behind the padding's index, 1.
    sizes = {**bert_sizes(width, dropout), "max_position_embeddings": 66, "type_vocab_size": 1}
    config = RobertaConfig(vocab_size=len(fast), bos_token_id=0, pad_token_id=1, eos_token_id=2, **sizes)
    return save(folder, RobertaForMaskedLM, config, fast)


def _distilbert(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.bert(texts)
    fast.model_input_names = ["input_ids", "attention_mask"]
    config = DistilBertConfig(
        vocab_size=len(fast),
        dim=width,
        n_layers=2,
        n_heads=4,
        hidden_dim=2 * width,
        max_position_embeddings=64,
        dropout=dropout,
        attention_dropout=dropout,
        seq_classif_dropout=dropout,
    )
    return save(folder, DistilBertForMaskedLM, config, fast)


def _electra(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """Small ones have narrower embeddings."""
    fast = tokenizers.bert(texts)
    config = ElectraConfig(vocab_size=len(fast), embedding_size=width // 2, **bert_sizes(width, dropout))
    return save(folder, ElectraForPreTraining, config, fast)


def _deberta(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """As version 3: relative positions in buckets alone, and a tokenizer of sentencepieces."""
    fast = tokenizers.deberta(texts)
    sizes = {
        **bert_sizes(width, dropout),
        "type_vocab_size": 0,
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "pooler_dropout": dropout,
        "pooler_hidden_size": width,
    }
    config = DebertaV2Config(vocab_size=len(fast), **sizes)
    return save(folder, DebertaV2ForMaskedLM, config, fast)


def _mpnet(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.mpnet(texts)
    sizes = {**bert_sizes(width, dropout), "max_position_embeddings": 66}
    config = MPNetConfig(vocab_size=len(fast), bos_token_id=0, pad_token_id=1, eos_token_id=2, **sizes)
    return save(folder, MPNetForMaskedLM, config, fast)


def _albert(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """Both layers share their weights."""
    fast = tokenizers.albert(texts)
    config = AlbertConfig(
        vocab_size=len(fast),
        embedding_size=width // 2,
        classifier_dropout_prob=dropout,
        bos_token_id=2,
        eos_token_id=3,
        **bert_sizes(width, dropout),
    )
    return save(folder, AlbertForMaskedLM, config, fast)


def _modernbert(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """One layer looks at all tokens, the other at the nearest 8 on either side; it classifies by the mean."""
    fast = tokenizers.modernbert(texts)
    names: dict[str, Any] = {
        f"{name}_token_id": getattr(fast, f"{name}_token_id") for name in ("pad", "cls", "sep")
    }
    names["global_attn_every_n_layers"] = 2
    config = ModernBertConfig(
        vocab_size=len(fast),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        local_attention=16,
        attention_dropout=dropout,
        embedding_dropout=dropout,
        mlp_dropout=dropout,
        classifier_dropout=dropout,
        classifier_pooling="mean",
        bos_token_id=names["cls_token_id"],
        eos_token_id=names["sep_token_id"],
        **names,
    )
    return save(folder, ModernBertForMaskedLM, config, fast)


def _qwen2(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """Its padding is the end of text, which the config doesn't name."""
    end = "<|endoftext|>"
    fast = tokenizers.byte_level(texts, [end, "<|im_start|>", "<|im_end|>"], eos_token=end, pad_token=end)
    sizes = llama_sizes(width, dropout)
    config = Qwen2Config(
        vocab_size=len(fast), bos_token_id=0, eos_token_id=0, tie_word_embeddings=True, **sizes
    )
    return save(folder, Qwen2ForCausalLM, config, fast)


def _t5(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.t5(texts)
    ids: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    config = T5Config(
        vocab_size=len(fast),
        d_model=width,
        d_kv=width // 4,
        d_ff=2 * width,
        num_layers=2,
        num_heads=4,
        dropout_rate=dropout,
        **ids,
    )
    return save(folder, T5ForConditionalGeneration, config, fast)


def _bart(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.roberta(texts)
    config = BartConfig(
        vocab_size=len(fast),
        **_bart_sizes(width, dropout),
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    return save(
        folder, BartForConditionalGeneration, config, fast, forced_bos_token_id=0, forced_eos_token_id=2
    )


def _marian(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    """An OPUS-MT model: it begins an output with the padding, which it never may say."""
    slow = tokenizers.marian(texts, folder)
    pad = slow.pad_token_id
    config = MarianConfig(
        vocab_size=len(slow),
        **_bart_sizes(width, dropout),
        scale_embedding=True,
        activation_function="swish",
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
    )
    return save(folder, MarianMTModel, config, slow, bad_words_ids=[[pad]], forced_eos_token_id=0)


def _mbart(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.mbart(texts)
    config = MBartConfig(
        vocab_size=len(fast),
        **_bart_sizes(width, dropout),
        scale_embedding=True,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    return save(folder, MBartForConditionalGeneration, config, fast, forced_eos_token_id=2)


def _nllb(folder: Path, texts: list[str], dropout: float, width: int) -> Path:
    fast = tokenizers.nllb(texts)
    config = M2M100Config(
        vocab_size=len(fast),
        **_bart_sizes(width, dropout),
        scale_embedding=True,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    return save(folder, M2M100ForConditionalGeneration, config, fast)


def bert_sizes(width: int, dropout: float) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 2 * width,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }


def llama_sizes(width: int, dropout: float) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "attention_dropout": dropout,
    }


def _bart_sizes(width: int, dropout: float) -> dict[str, Any]:
    return {
        "d_model": width,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 2 * width,
        "decoder_ffn_dim": 2 * width,
        "max_position_embeddings": 64,
        "dropout": dropout,
        "attention_dropout": dropout,
    }


BUILDERS: dict[str, Callable[[Path, list[str], float, int], Path]] = {
    "bert": _bert,
    "roberta": _roberta,
    "distilbert": _distilbert,
    "electra": _electra,
    "deberta-v2": _deberta,
    "mpnet": _mpnet,
    "albert": _albert,
    "modernbert": _modernbert,
    "qwen2": _qwen2,
    "t5": _t5,
    "bart": _bart,
    "marian": _marian,
    "mbart": _mbart,
    "nllb": _nllb,
}


def save(
    folder: Path,
    family: type[PreTrainedModel],
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    **generation: object,
) -> Path:
    """`generation`: what published models of the family say in generation_config.json."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    model = family(config)
    if generation:
        for name, value in generation.items():
            setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
