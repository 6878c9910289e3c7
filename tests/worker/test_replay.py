"""What a decoder writes of itself before it learns."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker import tiny
from worker.causal import load_causal
from worker.replay import BATCH, count_for, recite


class Enough(Exception):
    pass


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tiny.build(request.param, tmp_path_factory.mktemp(request.param), tiny.toy(64)[0])
    model, tokenizer, _ = load_causal(folder, 1)
    return model, tokenizer


def silent(_done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize(
    ("share", "rows", "count"), [(0.2, 80, 20), (0.1, 90, 10), (0.5, 7, 7), (0.01, 3, 1)]
)
def test_the_share_is_of_all_rows(share: float, rows: int, count: int) -> None:
    assert count_for(share, rows) == count


def test_texts_begin_at_the_begin_and_end_at_the_end_or_when_they_are_long(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    texts = recite(model, tokenizer, 2 * BATCH + 3, 48, 1, silent)
    assert len(texts) == 2 * BATCH + 3
    assert all(text[0] == tokenizer.bos_token_id and 2 <= len(text) <= 48 for text in texts)
    for text in texts:
        assert tokenizer.eos_token_id not in text[1:-1]
        assert len(text) == 48 or text[-1] == tokenizer.eos_token_id


def test_they_come_of_the_seed_alone_and_the_model_stays_as_it_is(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    model.train()
    first = recite(model, tokenizer, 20, 12, 1, silent)
    torch.manual_seed(99)
    assert recite(model, tokenizer, 20, 12, 1, silent) == first and model.training
    assert recite(model, tokenizer, 20, 12, 2, silent) != first
    assert first[0] != first[BATCH]  # each batch draws its own


def test_they_are_drawn_as_the_model_says_whatever_its_settings_for_writing_are(tmp_path: Path) -> None:
    model, tokenizer, _ = load_causal(tiny.build("gpt2", tmp_path, tiny.toy(64)[0]), 1)
    as_it_is = recite(model, tokenizer, 8, 12, 1, silent)
    bent = {"temperature": 0.1, "top_k": 1, "top_p": 0.5, "repetition_penalty": 2.0}
    for name, value in bent.items():
        setattr(model.generation_config, name, value)
    assert recite(model, tokenizer, 8, 12, 1, silent) == as_it_is


def test_what_ends_the_attempt_is_seen_after_each_token(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    model.train()
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 3:
            raise Enough

    with pytest.raises(Enough):
        recite(model, tokenizer, 20, 12, 1, tell)
    assert told == [(16, 240), (32, 240), (48, 240)] and model.training
