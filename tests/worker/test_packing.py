"""Windows over long texts, texts packed into blocks: no token is lost, none is learned twice."""

import numpy as np
import pytest

from worker.packing import NOT_A_WORD, Document, flatten, pack, windows


@pytest.mark.parametrize("length", [1, 7, 8, 9, 14, 15, 100])
def test_each_token_is_fresh_in_one_window_and_has_the_overlap_before_it(length: int) -> None:
    found = windows(length, size=8, overlap=2)

    fresh = [token for window in found for token in range(window.fresh, window.end)]
    assert fresh == list(range(length))
    assert all(window.end - window.start <= 8 for window in found)
    assert all(window.fresh - window.start == 2 for window in found[1:])


def test_a_short_text_is_one_window() -> None:
    (window,) = windows(8, size=8, overlap=2)
    assert (window.start, window.end, window.fresh) == (0, 8, 0)


def documents(*lengths: int) -> list[Document]:
    """Tokens 100, 101, …; each two are a word."""
    counter = iter(range(100, 1000))
    return [
        Document([next(counter) for _ in range(length)], [place // 2 for place in range(length)])
        for length in lengths
    ]


def test_packing_loses_no_token_and_fills_all_blocks_but_the_last() -> None:
    packed = pack(documents(5, 1, 12, 3), size=8, begin=[1], end=[2], between=[2])

    blocks = [list(block) for block in np.split(packed.encoded.ids, packed.encoded.offsets[1:-1])]
    assert [len(block) for block in blocks] == [8, 8, 8, 8]
    assert all(block[0] == 1 and block[-1] == 2 for block in blocks)
    inner = [int(token) for block in blocks for token in block[1:-1]]
    assert [token for token in inner if token >= 100] == list(range(100, 121))
    assert inner == [*range(100, 105), 2, 105, 2, *range(106, 118), 2, *range(118, 121)]


def test_the_last_block_is_as_long_as_it_is() -> None:
    packed = pack(documents(9), size=6)
    assert packed.encoded.lengths.tolist() == [6, 3]


@pytest.mark.parametrize("length", [2, 6, 7, 11, 12, 30])
def test_with_an_overlap_every_token_but_the_first_stands_behind_another(length: int) -> None:
    packed = pack(documents(length), size=6, overlap=1)

    blocks = [block.tolist() for block in np.split(packed.encoded.ids, packed.encoded.offsets[1:-1])]
    assert [token for block in blocks for token in block[1:]] == list(range(101, 100 + length))
    assert all(len(block) == 6 for block in blocks[:-1]) and len(blocks[-1]) >= 2


def test_words_keep_apart_and_special_tokens_are_none() -> None:
    packed = pack(documents(3, 2), size=6, begin=[1], between=[2])

    #                              [1], a  a  b [2] c        [1]         c
    assert packed.words.tolist() == [-1, 0, 0, 1, -1, 2, -1, 2]
    assert packed.documents.tolist() == [0, 1]


def test_a_block_of_special_tokens_alone_is_left_out() -> None:
    empty = Document([7, 7, 7, 7], [NOT_A_WORD] * 4)
    packed = pack([Document([9, 9], [0, 1]), empty], size=2)
    assert packed.encoded.ids.tolist() == [9, 9] and len(packed) == 1


def test_nothing_packs_to_no_block() -> None:
    assert len(pack([], size=8)) == 0 and len(flatten([])) == 0


def test_token_types_are_there_for_models_that_read_them() -> None:
    packed = pack(documents(5), size=4, types=True)
    assert packed.encoded.token_type_ids is not None and packed.encoded.token_type_ids.tolist() == [0] * 5
