"""Long texts in windows, many texts in full blocks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.encode import Encoded

NOT_A_WORD = -1

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Window:
    """Tokens `start` to `end` of a text; those before `fresh` were in an earlier window and only give context."""

    start: int
    end: int
    fresh: int


def windows(length: int, size: int, overlap: int) -> list[Window]:
    """Windows of at most `size` tokens over `length` (at least 1); each token is fresh in exactly one of them, and has `overlap`
    tokens before it where the text has. 0 ≤ overlap < size."""
    found = [Window(0, min(size, length), 0)]
    while (fresh := found[-1].end) < length:
        start = fresh - overlap
        found.append(Window(start, min(start + size, length), fresh))
    return found


def flatten(rows: Sequence[Sequence[int] | Ints], types: bool = False) -> Encoded:
    """Rows of token ids behind each other. `types`: whether the model reads token types (all 0)."""
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    ids = np.concatenate([np.zeros(0, np.int32), *(np.asarray(row, dtype=np.int32) for row in rows)])
    return Encoded(
        ids=ids,
        offsets=offsets,
        lengths=lengths,
        truncated=np.zeros(0, dtype=np.int64),
        token_type_ids=np.zeros_like(ids) if types else None,
    )


@dataclass(frozen=True)
class Packed:
    """Blocks. `words`: int32, for each token of `encoded` the number of its word, NOT_A_WORD for special tokens.
    `documents`: int64 (blocks,), of each block the document of its first token."""

    encoded: Encoded
    words: Ints
    documents: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True)
class Document:
    """Token ids and for each the number of its word within the document, NOT_A_WORD for special tokens."""

    ids: Sequence[int]
    words: Sequence[int]


def pack(
    documents: Iterable[Document],
    size: int,
    begin: Sequence[int] = (),
    end: Sequence[int] = (),
    between: Sequence[int] = (),
    overlap: int = 0,
    types: bool = False,
) -> Packed:
    """One document after the other, `between` them a separator, cut into blocks of `size` tokens, each of which begins with
    `begin` and ends with `end`; the last is as long as it is. No token is lost. Blocks of special tokens alone are left out.

    `overlap`: so many tokens of a block are also the first of the next: 1 gives a causal model something to predict each from.
    `types`: whether the model reads token types (all 0).
    """
    ids: list[Ints] = []
    words: list[Ints] = []
    owners: list[Ints] = []
    known = 0
    for number, document in enumerate(documents):
        numbers = np.asarray(document.words, dtype=np.int32)
        joint = between if number else ()
        ids.append(np.asarray([*joint, *document.ids], dtype=np.int32))
        words.append(
            np.concatenate(
                [
                    np.full(len(joint), NOT_A_WORD, np.int32),
                    np.where(numbers < 0, NOT_A_WORD, numbers + known),
                ]
            )
        )
        owners.append(np.full(len(ids[-1]), number, dtype=np.int32))
        known += int(numbers.max(initial=NOT_A_WORD)) + 1
    stream, belong, owner = (np.concatenate([np.zeros(0, np.int32), *part]) for part in (ids, words, owners))

    room = size - len(begin) - len(end)
    assert room > overlap
    head, tail = np.asarray(begin, dtype=np.int32), np.asarray(end, dtype=np.int32)
    outside = [np.full(len(part), NOT_A_WORD, dtype=np.int32) for part in (head, tail)]
    starts = [
        at
        for at in range(0, len(stream) - overlap, room - overlap)
        if (belong[at : at + room] != NOT_A_WORD).any()
    ]
    blocks = [np.concatenate([head, stream[at : at + room], tail]) for at in starts]
    return Packed(
        encoded=flatten(blocks, types),
        words=np.concatenate(
            [
                np.zeros(0, np.int32),
                *(part for at in starts for part in (outside[0], belong[at : at + room], outside[1])),
            ]
        ),
        documents=owner[starts].astype(np.int64) if starts else np.zeros(0, dtype=np.int64),
    )
