from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer, CanineTokenizer

from app.tasks.long_texts import overlap
from tests.worker.conftest import LABELS
from worker.backbone import load_classifier
from worker.encode import Encoded, encode, give_separator

TEXTS = ["the film was good", "bad", "the story " * 30, "good"]


def load(folder: Path, texts: list[str], max_length: int = 20) -> Encoded:
    return encode(load_classifier(folder, LABELS, 1)[1], texts, max_length)


def row(data: Encoded, index: int) -> list[int]:
    ids: list[int] = data.ids[data.offsets[index] : data.offsets[index + 1]].tolist()
    return ids


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_rows_are_what_the_tokenizer_gives_without_padding(folders: dict[str, Path], family: str) -> None:
    tokenizer = load_classifier(folders[family], LABELS, 1)[1]
    data = encode(tokenizer, TEXTS, 20)
    for index, text in enumerate(TEXTS):
        assert row(data, index) == tokenizer(text, truncation=True, max_length=20)["input_ids"]
    assert data.lengths.tolist() == np.diff(data.offsets).tolist()
    assert (data.token_type_ids is not None) == (family == "bert")


def test_rows_that_lost_text_are_named(folders: dict[str, Path]) -> None:
    data = load(folders["bert"], TEXTS)
    assert data.truncated.tolist() == [2]
    assert data.lengths[2] == 20
    assert (
        load(folders["bert"], ["good " * 18]).truncated.tolist() == []
    )  # 18 words and two marks fit exactly


def test_a_tokenizer_without_a_rust_part_is_asked_again() -> None:
    characters = CanineTokenizer()  # type: ignore[no-untyped-call]
    data = encode(characters, ["good", "a" * 18, "b" * 19], 20)  # one token a character, two marks
    assert data.lengths.tolist() == [6, 20, 20]
    assert data.truncated.tolist() == [2]


def test_a_tokenizer_that_cuts_at_16_by_itself_obeys_our_length(folders: dict[str, Path]) -> None:
    assert load(folders["bert"], ["the film " * 14], max_length=32).lengths.tolist() == [30]


def test_a_text_without_a_token_becomes_one(folders: dict[str, Path]) -> None:
    data = load(folders["gpt2"], ["", "good"])
    assert row(data, 0) == [0]  # <|endoftext|>
    assert data.lengths.min() == 1


def test_the_tokenizer_is_left_as_it_was(folders: dict[str, Path]) -> None:
    tokenizer = load_classifier(folders["bert"], LABELS, 1)[1]
    encode(tokenizer, TEXTS, 8)
    assert tokenizer.backend_tokenizer.truncation is None
    assert tokenizer.backend_tokenizer.padding is None


def test_progress_counts_texts_up_to_all(folders: dict[str, Path]) -> None:
    seen: list[tuple[int, int]] = []
    tokenizer = load_classifier(folders["bert"], LABELS, 1)[1]
    encode(tokenizer, ["good"] * 2500, 8, lambda done, total: seen.append((done, total)))
    assert seen == [(1000, 2500), (2000, 2500), (2500, 2500)]


def test_no_texts_are_no_rows(folders: dict[str, Path]) -> None:
    data = load(folders["bert"], [])
    assert len(data) == 0
    assert data.offsets.tolist() == [0]


LONG = ["the story was good " * times for times in (0, 1, 2, 4, 5, 9, 20)]


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("max_length", [8, 12, 31])
def test_windows_are_those_of_transformers_with_the_marks_in_each(
    folders: dict[str, Path], family: str, max_length: int
) -> None:
    tokenizer = load_classifier(folders[family], LABELS, 1)[1]
    data = encode(tokenizer, LONG[1:], max_length, truncation="windows")
    expected = tokenizer(
        LONG[1:],
        truncation=True,
        max_length=max_length,
        stride=overlap(max_length),
        return_overflowing_tokens=True,
    )
    assert [row(data, index) for index in range(len(data))] == expected["input_ids"]
    assert data.owner is not None and data.owner.tolist() == expected["overflow_to_sample_mapping"]
    assert data.truncated.tolist() == []
    assert data.shares is not None
    assert np.bincount(data.owner, weights=data.shares) == pytest.approx(np.ones(len(LONG) - 1))


def test_windows_of_an_empty_text_are_one_token(folders: dict[str, Path]) -> None:
    data = encode(load_classifier(folders["gpt2"], LABELS, 1)[1], LONG, 8, truncation="windows")
    assert row(data, 0) == [0] and data.owner is not None and data.owner[:2].tolist() == [0, 1]


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_head_and_tail_keep_a_quarter_of_the_beginning_and_the_end(
    folders: dict[str, Path], family: str
) -> None:
    tokenizer = load_classifier(folders[family], LABELS, 1)[1]
    data = encode(tokenizer, LONG, 16, truncation="head_tail")
    for index, text in enumerate(LONG):
        whole = tokenizer(text)["input_ids"]
        assert row(data, index) == (whole if len(whole) <= 16 else whole[:4] + whole[-12:])
    assert data.truncated.tolist() == [index for index, text in enumerate(LONG) if text.count(" ") > 14]
    if data.token_type_ids is not None:
        assert len(data.token_type_ids) == len(data.ids)


def test_of_a_pair_the_longer_text_loses_its_end_as_in_transformers(folders: dict[str, Path]) -> None:
    tokenizer = load_classifier(folders["bert"], LABELS, 1)[1]
    first, second = ["good", "the story " * 9, "bad"], ["the film " * 20, "good bad", ""]
    data = encode(tokenizer, first, 16, pairs=second)
    expected = tokenizer(first, second, truncation=True, max_length=16)
    assert [row(data, index) for index in range(3)] == expected["input_ids"]
    assert data.token_type_ids is not None
    assert data.token_type_ids.tolist() == [one for types in expected["token_type_ids"] for one in types]
    assert data.truncated.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("family", "mark"), [("gpt2", "<|endoftext|>"), ("llama", "</s>"), ("llama-without-eos", "<s>")]
)
def test_a_decoder_gets_a_mark_between_the_texts_of_a_pair_that_a_download_keeps(
    folders: dict[str, Path], tmp_path: Path, family: str, mark: str
) -> None:
    tokenizer = load_classifier(folders[family], LABELS, 1)[1]
    single = tokenizer("the film")["input_ids"]
    give_separator(tokenizer)
    give_separator(tokenizer)  # a run on top of another
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    begin = ["<s>"] if family.startswith("llama") else []
    for one in (tokenizer, again):
        tokens = one.convert_ids_to_tokens(one("good", "bad")["input_ids"])
        assert tokens == [*begin, "good", mark, "bad"]
        assert one("the film")["input_ids"] == single


def test_an_encoders_own_mark_is_left_alone(folders: dict[str, Path]) -> None:
    tokenizer = load_classifier(folders["bert"], LABELS, 1)[1]
    before = tokenizer("good", "bad")
    give_separator(tokenizer)
    assert tokenizer("good", "bad") == before
