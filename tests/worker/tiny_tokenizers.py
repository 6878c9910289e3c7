"""Tokenizers of the real classes with a few hundred entries, trained on `texts`; the same for the same texts.

Each returns what transformers saves for a published model of that kind: special tokens under the family's own
names and at the family's own ids.
"""

import io
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertTokenizer,
    BertTokenizer,
    DebertaV2Tokenizer,
    MarianTokenizer,
    MBart50Tokenizer,
    MPNetTokenizer,
    NllbTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    T5Tokenizer,
)

VOCABULARY = 400
NLLB_LANGUAGES = ["deu_Latn", "eng_Latn", "fra_Latn"]
# As SmolLM2-Instruct's: each turn between marks, "assistant" opened for the answer.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def bert(texts: Iterable[str]) -> BertTokenizer:
    return BertTokenizer(
        vocab=wordpieces(texts, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), model_max_length=64
    )


def mpnet(texts: Iterable[str]) -> MPNetTokenizer:
    """MPNet's embeddings hold the padding at 1, whatever the config says."""
    return MPNetTokenizer(
        vocab=wordpieces(texts, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]), model_max_length=64
    )


def roberta(texts: Iterable[str]) -> RobertaTokenizer:
    vocab, merges = _byte_pairs(texts, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=64)


def modernbert(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    special = {name: f"[{name.removesuffix('_token').upper()}]" for name in _BERT_NAMES}
    fast = byte_level(texts, list(special.values()), **special)
    ids = [(token, fast.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")]
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    fast.model_max_length = 64
    fast.model_input_names = ["input_ids", "attention_mask"]
    return fast


def albert(texts: Iterable[str]) -> AlbertTokenizer:
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return AlbertTokenizer(vocab=_scored(texts, special), model_max_length=64)


def deberta(texts: Iterable[str]) -> DebertaV2Tokenizer:
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocab = [*_scored(texts, special), ("[MASK]", 0.0)]
    return DebertaV2Tokenizer(vocab=vocab, unk_id=3, model_max_length=64)


def t5(texts: Iterable[str]) -> T5Tokenizer:
    """Ten of the hundred "<extra_id_…>"."""
    vocab = _scored(texts, ["<pad>", "</s>", "<unk>"]) + [(f"<extra_id_{i}>", 0.0) for i in range(9, -1, -1)]
    return T5Tokenizer(vocab=vocab, extra_ids=10, model_max_length=64)


def mbart(texts: Iterable[str]) -> MBart50Tokenizer:
    """All 52 languages of mBART-50: en_XX, fr_XX, …"""
    vocab = _scored(texts, ["<unk>", "<s>", "</s>"])
    return MBart50Tokenizer(vocab=vocab, src_lang="en_XX", model_max_length=64)


def nllb(texts: Iterable[str]) -> NllbTokenizer:
    """Three of the 202 languages: NLLB_LANGUAGES."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    vocab, merges = _trained(tokenizer, texts, ["<s>", "<pad>", "</s>", "<unk>"], alphabet=[])
    return NllbTokenizer(
        vocab=vocab, merges=merges, extra_special_tokens=list(NLLB_LANGUAGES), model_max_length=64
    )


def marian(texts: Iterable[str], folder: Path) -> MarianTokenizer:
    """Of the slow kind: its two sentencepiece models and vocab.json are files, written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = _sentencepiece(texts)
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(model)
    tokens = ["</s>", "<unk>", *(piece for piece, _ in _pieces(model)), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        return MarianTokenizer(
            str(folder / "source.spm"),
            str(folder / "target.spm"),
            str(folder / "vocab.json"),
            model_max_length=64,
        )


def byte_level(texts: Iterable[str], special: list[str], **names: str) -> PreTrainedTokenizerFast:
    """Byte pairs, as GPT-2's, Llama 3's and Qwen2's. `names`: bos_token="<s>" and the like."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _trained(tokenizer, texts, special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)  # type: ignore[no-untyped-call]


_BERT_NAMES = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")


def wordpieces(texts: Iterable[str], special: list[str]) -> dict[str, int]:
    """A vocabulary in small letters."""
    lower = [text.lower() for text in texts]
    letters = sorted({letter for text in lower for letter in text if not letter.isspace()})
    tokenizer = Tokenizer(models.WordPiece())
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers letters in an order of chance: naming them first makes it the same each time.
    first = [*special, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer.train_from_iterator(
        lower, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=first, show_progress=False)
    )
    return dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]))


def _byte_pairs(texts: Iterable[str], special: list[str]) -> tuple[dict[str, int], Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _trained(tokenizer, texts, special)


def _trained(
    tokenizer: Tokenizer, texts: Iterable[str], special: list[str], alphabet: list[str] | None = None
) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges (pairs, where the tokenizers' classes are annotated with lines)."""
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [(first, second) for first, second in model["merges"]]


def _scored(texts: Iterable[str], special: list[str]) -> list[tuple[str, float]]:
    return [*((token, 0.0) for token in special), *_pieces(_sentencepiece(texts))]


def _pieces(model: bytes) -> list[tuple[str, float]]:
    """Pieces and log probabilities, without the three that every sentencepiece model begins with."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [
        (processor.id_to_piece(number), processor.get_score(number))
        for number in range(3, processor.get_piece_size())
    ]


def _sentencepiece(texts: Iterable[str]) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(list(texts)),
        model_writer=model,
        model_type="unigram",
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,  # few texts have fewer pieces
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()
