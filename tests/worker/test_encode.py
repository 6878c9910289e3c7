from pathlib import Path

import numpy as np
import pytest
from transformers import CanineTokenizer

from tests.worker.conftest import LABELS
from worker.backbone import load_classifier
from worker.encode import Encoded, encode

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
