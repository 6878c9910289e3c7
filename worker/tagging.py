"""Words and the pieces that a tokenizer makes of them: windows over long sentences, and the place of each word's tag.

A word's tag belongs to its first piece. The tokenizer reads the sentence as a text, as a pipeline of transformers
does, and where its pieces stand tells the words: nothing about the tokenizer has to be changed for the download.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from app.core.errors import Invalid
from worker.backbone import pad_id, text_config
from worker.batches import Rows, collate, eval_batches
from worker.encode import CHUNK, Encoded
from worker.memory import in_parts

OVERLAP = 0.25  # of a window's room, shared by two neighbours

Places = Sequence[tuple[int, int]]  # of the words: first code point, behind the last
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """The windows of n sentences and where tags stand in them, each once: in the window where the nearer end of the
    context is farthest away.

    encoded: w windows. bounds: int64 (w + 1,), the marks of window i are `bounds[i]:bounds[i + 1]` of the next three.
    columns: int64 (m,), the token in its window; words: int64 (m,), the word, counted over all sentences; gaps: bool (m,),
    whether the token is only the white space before the word (a decoder's before a number). A pipeline of transformers
    takes such a piece for a word of its own, so it has to learn that it is none.
    A word without a piece (a lone control character) has no mark. sentences: int64 (n + 1,), sentence i has the
    words `sentences[i]:sentences[i + 1]`. long: sentences of more than one window.
    """

    encoded: Encoded
    bounds: Ints
    columns: Ints
    words: Ints
    gaps: npt.NDArray[np.bool_]
    sentences: Ints
    long: int

    def marks(self, rows: Rows) -> tuple[Ints, Ints, Ints]:
        """Of the marks of the windows `rows`: the place in `rows`, the token in it, the place in `words`."""
        counts = self.bounds[rows + 1] - self.bounds[rows]
        lines = np.repeat(np.arange(len(rows)), counts)
        marks = np.concatenate([np.arange(self.bounds[row], self.bounds[row + 1]) for row in rows])
        return lines, self.columns[marks], marks


def word_windows(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    places: Sequence[Places],
    max_length: int,
    progress: Callable[[int, int], None] | None = None,
) -> Windows:
    """Encodes `texts`, whose words stand at `places`, in windows of at most `max_length` tokens, special ones included.

    Nothing is cut off. A window without any mark (the middle of one endless word) is left out.
    Raises Invalid of kind "model" for a tokenizer that can't tell where its pieces stand.
    """
    require_offsets(tokenizer)
    typed = "token_type_ids" in tokenizer.model_input_names
    ids: list[list[int]] = []
    types: list[list[int]] = []
    counts: list[int] = []
    columns: list[int] = []
    words: list[int] = []
    gaps: list[bool] = []
    sentences, long = [0], 0
    for begin in range(0, len(texts), CHUNK):
        chunk = list(texts[begin : begin + CHUNK])
        batch = tokenizer(chunk, truncation=False, padding=False, verbose=False)
        for encoding, text, spans in zip(
            batch.encodings or [], chunk, places[begin : begin + CHUNK], strict=True
        ):
            head, behind = _content(encoding.special_tokens_mask)
            marks = marks_of(text, spans, encoding.offsets[head:behind])
            room = max_length - head - (len(encoding.ids) - behind)
            starts = window_starts(behind - head, room)
            long += len(starts) > 1
            owned: defaultdict[int, list[tuple[int, int, bool]]] = defaultdict(list)
            for mark, owner in zip(
                marks, owners([piece for piece, _, _ in marks], starts, room, behind - head), strict=True
            ):
                owned[owner].append(mark)
            for number, start in enumerate(starts):
                mine = owned[number]
                if not mine:
                    continue
                stop = min(start + room, behind - head)
                ids.append(_cut(encoding.ids, head, behind, start, stop))
                types.append(_cut(encoding.type_ids, head, behind, start, stop))
                counts.append(len(mine))
                columns += [head + piece - start for piece, _, _ in mine]
                words += [sentences[-1] + word for _, word, _ in mine]
                gaps += [gap for _, _, gap in mine]
            sentences.append(sentences[-1] + len(spans))
        if progress is not None:
            progress(min(begin + CHUNK, len(texts)), len(texts))
    return Windows(
        _encoded(ids, types if typed else None),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
        np.array(columns, dtype=np.int64),
        np.array(words, dtype=np.int64),
        np.array(gaps, dtype=np.bool_),
        np.array(sentences, dtype=np.int64),
        long,
    )


def require_offsets(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises Invalid of kind "model" for a tokenizer written in Python, which doesn't say where its pieces stand."""
    if not tokenizer.is_fast:
        raise Invalid(
            "The tokenizer of this model does not tell where its pieces stand in the text (it has no tokenizer.json), "
            "so words can't be tagged; choose another model.",
            kind="model",
        )


def marks_of(text: str, words: Places, pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """(piece, word, whether the piece is only the white space before it): the first piece that begins in each word,
    white space aside, and the pieces of white space alone. `pieces`: the code points of each."""
    marks: list[tuple[int, int, bool]] = []
    word, marked = 0, -1
    for number, (start, end) in enumerate(pieces):
        begin = start
        while begin < end and text[begin].isspace():
            begin += 1
        while word < len(words) and words[word][1] <= min(begin, len(text) - 1):
            word += 1
        if word == len(words) or start == end:
            continue
        if begin == end:
            marks.append((number, word, True))
        elif words[word][0] <= begin and marked < word:
            marks.append((number, word, False))
            marked = word
    return marks


def window_starts(pieces: int, room: int) -> list[int]:
    """Where windows of `room` pieces begin that cover all `pieces` and share a quarter with their neighbours."""
    if room < 1:
        raise Invalid(
            "max_length leaves no room beside the special tokens of this model; choose more.", kind="model"
        )
    if pieces <= room:
        return [0]
    stride = room - int(room * OVERLAP)
    return [*range(0, pieces - room, stride), pieces - room]


def owners(places: Sequence[int], starts: Sequence[int], room: int, pieces: int) -> list[int]:
    """For each of the pieces at `places` the number of the window with the most context on the nearer side of it.

    At an end of the text there is no more context to have, so that side doesn't count.
    """
    if len(starts) == 1:
        return [0] * len(places)
    begins = np.array(starts)
    ends = begins + room
    found = []
    for place in places:
        before = np.where(begins == 0, pieces, place - begins)
        behind = np.where(ends >= pieces, pieces, ends - 1 - place)
        inside = (begins <= place) & (place < ends)
        found.append(int(np.where(inside, np.minimum(before, behind), -1).argmax()))
    return found


def word_logits(
    model: nn.Module, windows: Windows, batch_size: int, device: torch.device
) -> npt.NDArray[np.float32]:
    """float32 (m, classes): the logits of each mark, in the order of `windows.words`, without dropout.

    The model's mode is put back.
    """
    classes = text_config(model).num_labels
    result = np.zeros((len(windows.words), classes), dtype=np.float32)
    training = model.training
    padding = pad_id(model)

    def read(rows: Rows) -> None:
        lines, columns, marks = windows.marks(rows)
        logits: Tensor = model(**collate(windows.encoded, rows, padding, device)).logits
        at = torch.from_numpy(lines).to(device), torch.from_numpy(columns).to(device)
        result[marks] = logits[at].float().cpu().numpy()

    model.eval()
    try:
        with torch.inference_mode():
            for rows in eval_batches(windows.encoded.lengths, batch_size):
                in_parts(read, rows)
    finally:
        model.train(training)
    return result


def _content(special: Sequence[int]) -> tuple[int, int]:
    """Where the text begins and ends between the special tokens."""
    head, behind = 0, len(special)
    while head < behind and special[head]:
        head += 1
    while behind > head and special[behind - 1]:
        behind -= 1
    return head, behind


def _cut(values: list[int], head: int, behind: int, start: int, stop: int) -> list[int]:
    return values[:head] + values[head + start : head + stop] + values[behind:]


def _encoded(ids: list[list[int]], types: list[list[int]] | None) -> Encoded:
    lengths = np.array([len(row) for row in ids], dtype=np.int32)

    def flat(rows: list[list[int]]) -> Any:
        return np.array([value for row in rows for value in row], dtype=np.int32)

    return Encoded(
        ids=flat(ids),
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        lengths=lengths,
        truncated=np.zeros(0, dtype=np.int64),
        token_type_ids=None if types is None else flat(types),
    )
