"""Words, pieces and windows: each word's tag has one place, and nothing is cut."""

import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from app.core.errors import Invalid
from app.tasks.sentences import joined_places
from tests.worker.tiny import build, toy
from tests.worker.tiny_tokenizers import marian
from worker.tagging import Windows, marks_of, owners, window_starts, word_windows

WORDS = ["the", "unbelievably", "long", "story", "was", "U.S.", "good", "12", "!"]
# All signs, but of the words only those of the toy: the others come in pieces.
TEXTS = [*toy()[0], " ".join(string.ascii_letters + string.digits + string.punctuation)]
FAMILIES = ("bert", "roberta", "deberta-v2", "albert", "modernbert", "mpnet", "gpt2", "llama", "qwen2")

Tokenizer = Callable[[str], PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    root = tmp_path_factory.mktemp("families")

    def get(family: str) -> PreTrainedTokenizerBase:
        folder = root / family
        if not folder.exists():
            build(family, folder, TEXTS)
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return found

    return get


def encoded(tokenizer: PreTrainedTokenizerBase, sentences: list[list[str]], max_length: int = 64) -> Windows:
    texts, places = [" ".join(words) for words in sentences], [joined_places(words) for words in sentences]
    return word_windows(tokenizer, texts, places, max_length)


def marks(windows: Windows) -> list[tuple[int, int]]:
    """(word, token id) of each word's mark, by word."""
    owner = np.repeat(np.arange(len(windows.encoded)), np.diff(windows.bounds))
    tokens = windows.encoded.ids[windows.encoded.offsets[owner] + windows.columns]
    pairs = zip(windows.words.tolist(), tokens.tolist(), windows.gaps.tolist(), strict=True)
    return sorted((word, token) for word, token, gap in pairs if not gap)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_words_tag_stands_at_its_first_piece_and_nowhere_else(tokenizer: Tokenizer, family: str) -> None:
    loaded = tokenizer(family)

    windows = encoded(loaded, [WORDS, ["good"]])

    found = marks(windows)
    assert [word for word, _ in found] == list(range(len(WORDS) + 1))
    assert windows.sentences.tolist() == [0, len(WORDS), len(WORDS) + 1]
    assert len(windows.encoded) == 2
    # "unbelievably" is many pieces; the next mark stands behind all of them.
    assert len(loaded.tokenize("unbelievably")) > 2
    columns = windows.columns[~windows.gaps]
    assert columns[2] - columns[1] >= len(loaded.tokenize("unbelievably")) - 1
    # What a mark stands at begins the word. (ALBERT's sign of a new word alone, where it is a piece, counts as the word.)
    for word, (_, token) in zip([*WORDS, "good"], found, strict=True):
        said = loaded.decode([token])
        assert isinstance(said, str)
        assert word.lower().startswith(said.strip().lower()), (word, said)
        assert said.strip() or family == "albert"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_reads_just_what_a_plain_tokenizer_gives(tokenizer: Tokenizer, family: str) -> None:
    loaded = tokenizer(family)
    windows = encoded(loaded, [WORDS])
    plain = loaded(" ".join(WORDS))
    assert windows.encoded.ids.tolist() == plain["input_ids"]
    if "token_type_ids" in loaded.model_input_names:
        assert windows.encoded.token_type_ids is not None
        assert windows.encoded.token_type_ids.tolist() == plain["token_type_ids"]


def test_a_word_that_gives_no_piece_has_no_mark_and_moves_no_other(tokenizer: Tokenizer) -> None:
    windows = encoded(tokenizer("bert"), [["the", "\u200b", "film", "\x07"], ["\u200b"], ["good"]])
    assert windows.words.tolist() == [0, 2, 5]
    assert windows.sentences.tolist() == [0, 4, 5, 6]
    assert len(windows.encoded) == 2  # of nothing but dropped signs there is nothing to read


def test_white_space_before_a_word_is_marked_as_such() -> None:
    # "▁" alone, then "12"; or in one piece with a digit.
    words = [(0, 1), (2, 4)]
    assert marks_of("a 12", words, [(0, 1), (1, 2), (2, 4)]) == [(0, 0, False), (1, 1, True), (2, 1, False)]
    assert marks_of("a 12", words, [(0, 1), (1, 3), (3, 4)]) == [(0, 0, False), (1, 1, False)]
    assert marks_of("a ", [(0, 1)], [(0, 1), (1, 2)]) == [(0, 0, False)]
    assert marks_of("\u3000", [(0, 1)], [(0, 1)]) == [(0, 0, True)]


def test_a_piece_over_two_words_is_the_firsts_alone() -> None:
    assert marks_of("ab cd", [(0, 2), (3, 5)], [(0, 5)]) == [(0, 0, False)]


@pytest.mark.parametrize(
    ("pieces", "room"), [(5, 8), (8, 8), (9, 8), (100, 8), (101, 8), (7, 1), (9, 2), (1000, 126)]
)
def test_windows_cover_everything_and_each_piece_has_the_best_of_them(pieces: int, room: int) -> None:
    starts = window_starts(pieces, room)
    ends = [min(start + room, pieces) for start in starts]

    assert starts[0] == 0 and ends[-1] == pieces
    assert all(later <= end for end, later in zip(ends, starts[1:], strict=False))
    assert starts == sorted(set(starts))
    owner = owners(range(pieces), starts, room, pieces)
    for piece, mine in enumerate(owner):
        assert starts[mine] <= piece < ends[mine]

        def context(window: int, piece: int = piece) -> float:
            before = float("inf") if starts[window] == 0 else piece - starts[window]
            behind = float("inf") if ends[window] == pieces else ends[window] - 1 - piece
            return min(before, behind)

        inside = [n for n in range(len(starts)) if starts[n] <= piece < ends[n]]
        assert context(mine) == max(map(context, inside))


def test_a_long_sentence_has_each_word_once_in_windows_that_fit(tokenizer: Tokenizer) -> None:
    words = [WORDS[n % len(WORDS)] for n in range(300)]
    loaded = tokenizer("bert")

    windows = encoded(loaded, [["good"], words, ["bad"]], max_length=16)

    assert [word for word, _ in marks(windows)] == list(range(302))
    assert windows.long == 1
    assert windows.encoded.lengths.max() == 16
    assert (windows.encoded.ids[windows.encoded.offsets[:-1]] == loaded.cls_token_id).all()
    assert (windows.encoded.ids[windows.encoded.offsets[1:] - 1] == loaded.sep_token_id).all()
    first_ids = [loaded(word, add_special_tokens=False)["input_ids"][0] for word in ["good", *words, "bad"]]
    assert [token for _, token in marks(windows)] == first_ids


def test_a_word_longer_than_a_window_is_tagged_all_the_same(tokenizer: Tokenizer) -> None:
    windows = encoded(tokenizer("bert"), [["good", "x" * 90, "bad"]], max_length=16)
    assert sorted(windows.words.tolist()) == [0, 1, 2]
    # The windows in the middle of the word hold no word's beginning: they are not read.
    assert (np.diff(windows.bounds) > 0).all()


def test_a_length_without_room_is_refused() -> None:
    with pytest.raises(Invalid, match="leaves no room"):
        window_starts(5, 0)


def test_a_tokenizer_without_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="choose another model") as caught:
        encoded(marian(TEXTS, tmp_path), [["good"]])
    assert caught.value.kind == "model"
