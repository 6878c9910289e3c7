"""Texts to token ids, once per run, by the Rust tokenizer in large batches; what is too long is cut or read in windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tokenizers import processors
from transformers import BatchEncoding, PreTrainedTokenizerBase

from app.tasks.long_texts import head_and_tail, overlap

CHUNK = 1000  # texts per call: large enough for the Rust threads, small enough for a smooth progress bar

IntArray = npt.NDArray[np.int32]
Truncation = Literal["end", "head_tail", "windows"]


@dataclass(frozen=True)
class Encoded:
    """n encoded rows without padding. Row i is `ids[offsets[i]:offsets[i + 1]]`, special tokens included.

    ids: int32 (tokens,). offsets: int64 (n + 1,). lengths: int32 (n,), tokens of each row, at least 1.
    token_type_ids: int32 (tokens,), only for models that read them. truncated: int64, the texts that lost something.
    owner: int64 (n,), the text that each row is a window of, ascending; None where row i is text i.
    """

    ids: IntArray
    offsets: npt.NDArray[np.int64]
    lengths: IntArray
    truncated: npt.NDArray[np.int64]
    token_type_ids: IntArray | None = None
    owner: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def shares(self) -> npt.NDArray[np.float64] | None:
        """What each row is of its text: 1/k of a text of k windows; None where each row is a text."""
        return None if self.owner is None else 1 / np.bincount(self.owner)[self.owner]


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
    *,
    pairs: Sequence[str] | None = None,
    truncation: Truncation = "end",
) -> Encoded:
    """Encodes `texts` in rows of at most `max_length` tokens; `progress(done, total)` after each chunk.

    A longer text loses its end, or with "head_tail" its middle (`head_and_tail`), or becomes several rows ("windows",
    see `windows_of`). With `pairs` each text goes with its second one, and the longer of both loses tokens from its end.
    A text without any token (the empty string in GPT-2) becomes one end-of-text or padding token, because
    a model has to read something. The tokenizer is left without truncation and padding: its state is what
    a later save_pretrained writes to tokenizer.json.
    """
    assert pairs is None or truncation == "end"
    typed = "token_type_ids" in tokenizer.model_input_names
    empty = _first_id(tokenizer, "eos_token_id", "bos_token_id", "pad_token_id")
    head, tail = head_and_tail(max_length)
    before, after = _specials(tokenizer) if truncation == "windows" else (0, 0)
    rows: list[IntArray] = []
    types: list[IntArray] = []
    truncated: list[int] = []
    owner: list[int] = []

    def add(ids: list[int], kinds: list[int]) -> None:
        rows.append(np.array(ids or [empty], dtype=np.int32))
        types.append(np.array(kinds or [0], dtype=np.int32))

    for start in range(0, len(texts), CHUNK):
        chunk = slice(start, start + CHUNK)
        given: dict[str, Any] = {"text": list(texts[chunk])}
        if pairs is not None:
            given["text_pair"] = list(pairs[chunk])
        cutting = (
            {"truncation": True, "max_length": max_length} if truncation == "end" else {"verbose": False}
        )
        batch = tokenizer(
            **given, **cutting, padding=False, return_attention_mask=False, return_token_type_ids=typed
        )
        kinds = batch["token_type_ids"] if typed else [[]] * len(batch["input_ids"])
        for row, (ids, kind) in enumerate(zip(batch["input_ids"], kinds, strict=True), start):
            if truncation == "end" or len(ids) <= max_length:
                owner.append(row)
                add(ids, kind)
            elif truncation == "head_tail":
                owner.append(row)
                truncated.append(row)
                add(ids[:head] + ids[-tail:], kind[:head] + kind[-tail:])
            else:
                for places in windows_of(len(ids), before, after, max_length):
                    owner.append(row)
                    add([ids[place] for place in places], [kind[place] for place in places if kind])
        if truncation == "end":
            truncated += [start + row for row in _cut(tokenizer, batch, given, max_length)]
        if progress is not None:
            progress(min(start + CHUNK, len(texts)), len(texts))
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Encoded(
        ids=_flat(rows),
        offsets=offsets,
        lengths=lengths,
        truncated=np.array(truncated, dtype=np.int64),
        token_type_ids=_flat(types) if typed else None,
        owner=np.array(owner, dtype=np.int64) if truncation == "windows" else None,
    )


def windows_of(length: int, before: int, after: int, max_length: int) -> list[list[int]]:
    """The places of a row's tokens that make each of its windows: the special ones (`before` at its beginning, `after`
    at its end) are in all. As transformers' return_overflowing_tokens with stride=overlap(max_length)."""
    room = max(1, max_length - before - after)
    step = max(1, room - overlap(max_length))
    first, last = before, length - after
    starts = [*range(first, max(first + 1, last - room + step), step)]
    special = list(range(before)), list(range(last, length))
    return [[*special[0], *range(at, min(at + room, last)), *special[1]] for at in starts]


def give_separator(tokenizer: PreTrainedTokenizerBase) -> None:
    """Sees to it that a pair has a token between its texts, also in the download and so in a plain pipeline.

    Decoders' tokenizers join the two without a mark. They get their separator or end-of-text token there, as a
    delimiter (Radford et al. 2018, section 3.3); what stands before and after a single text stays.
    """
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    pair = tokenizer("a", "a")["input_ids"]
    if not tokenizer.is_fast or any(one in special for one in pair[1:-1]):
        return
    between = _first_id(tokenizer, "sep_token_id", "eos_token_id", "bos_token_id", "pad_token_id")
    single = tokenizer("a")["input_ids"]
    before, after = _specials(tokenizer)
    end = len(single) - after
    names = [str(tokenizer.convert_ids_to_tokens(one)) for one in (*single[:before], between, *single[end:])]
    around = names[:before], names[before + 1 :]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=[*around[0], "$A", *around[1]],
        pair=[*around[0], "$A", names[before], "$B", *around[1]],
        special_tokens=[(name, tokenizer.convert_tokens_to_ids(name)) for name in dict.fromkeys(names)],
    )


def _specials(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """How many tokens the tokenizer puts before and after a text."""
    whole, bare = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    before = next(at for at in range(len(whole) + 1) if whole[at : at + len(bare)] == bare)
    return before, len(whole) - before - len(bare)


def _first_id(tokenizer: PreTrainedTokenizerBase, *names: str) -> int:
    found = (getattr(tokenizer, name) for name in names)
    return next((one for one in found if one is not None), 0)


def _flat(rows: list[IntArray]) -> IntArray:
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)


def _cut(
    tokenizer: PreTrainedTokenizerBase, batch: BatchEncoding, given: dict[str, Any], max_length: int
) -> list[int]:
    """The rows of a batch that lost text. The Rust tokenizer keeps what it cut off; others are asked again."""
    if batch.encodings is not None:
        return [row for row, encoding in enumerate(batch.encodings) if encoding.overflowing]
    full = [row for row, ids in enumerate(batch["input_ids"]) if len(ids) == max_length]
    if not full:
        return []
    again = {role: [texts[row] for row in full] for role, texts in given.items()}
    whole = tokenizer(**again, truncation=False, verbose=False)["input_ids"]
    return [row for row, ids in zip(full, whole, strict=True) if len(ids) > max_length]
