"""Prompts as tokens: the beginning of what was learned, cut where nothing is lost that the model relies on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.worker import tiny
from worker.backbone import load_pretrained
from worker.prompting import Prompting, prompt_room, template_fault, write

TEXTS, _ = tiny.toy(40)
PAIRS = [(text, "superb") for text in TEXTS[:3]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("prompting")
    return {
        "gpt2": tiny.build("gpt2", root / "gpt2", TEXTS),
        "llama": tiny.build("llama", root / "llama", TEXTS),
        "chat": tiny.build_chat_llama(root / "chat", TEXTS),
    }


def tokenizer_of(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def test_a_plain_prompt_ends_with_a_line_break_after_what_the_tokenizer_begins_with(
    folders: dict[str, Path],
) -> None:
    tokenizer = tokenizer_of(folders["llama"])
    prompting = Prompting(tokenizer, paired=True)
    assert prompting.prompt("the film", 64) == (tokenizer("the film\n")["input_ids"], False)
    assert prompting.completion("the film", " was good") == [
        *tokenizer(" was good", add_special_tokens=False)["input_ids"],
        tokenizer.eos_token_id,
    ]


def test_a_chats_prompt_and_answer_are_what_the_template_makes_of_them(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders["chat"])
    prompting = Prompting(tokenizer, paired=True)
    begin, _ = prompting.prompt("the film", 64)
    whole = [*begin, *prompting.completion("the film", "was good")]
    assert tokenizer.decode(begin) == "<|im_start|>user\nthe film<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(whole) == tokenizer.decode(begin) + "was good<|im_end|>"
    messages = [{"role": "user", "content": "the film"}]
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert begin == theirs


def test_a_text_alone_is_no_message(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders["chat"])
    prompting = Prompting(tokenizer, paired=False)
    assert not prompting.chat
    assert prompting.prompt("the film", 64)[0] == tokenizer("the film")["input_ids"]


@pytest.mark.parametrize("family", ["gpt2", "llama", "chat"])
@pytest.mark.parametrize("room", [40, 55])
def test_a_long_prompt_loses_its_beginning_and_nothing_else(
    folders: dict[str, Path], family: str, room: int
) -> None:
    tokenizer = tokenizer_of(folders[family])
    prompting = Prompting(tokenizer, paired=True)
    ids, cut = prompting.prompt("one " * 80 + "and the film was superb", room)

    assert cut and room - 6 <= len(ids) <= room
    short, _ = prompting.prompt("superb", room)
    shared = tokenizer.decode(ids)
    assert shared.rstrip("\n").split("superb")[1] == tokenizer.decode(short).rstrip("\n").split("superb")[1]
    assert "and the film was superb" in shared
    if family != "gpt2":
        assert ids[0] == short[0]


def test_nothing_to_go_on_from_is_the_end_of_another_text(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders["gpt2"])
    assert Prompting(tokenizer, paired=False).prompt("", 8) == ([tokenizer.eos_token_id], False)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages[-1]['content'] }}", "is not the beginning"),
        ("{{ raise_exception('no users here') }}", "can't be filled in (no users here)"),
        ("{{ 'always the same' }}", "leaves out or changes the answer"),
    ],
)
def test_why_a_chat_template_cannot_be_used(folders: dict[str, Path], template: str, why: str) -> None:
    tokenizer = tokenizer_of(folders["chat"])
    assert template_fault(tokenizer, PAIRS) is None
    tokenizer.chat_template = template
    assert why in str(template_fault(tokenizer, PAIRS))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_writing_is_transformers_greedy_search_whatever_else_is_in_the_batch(
    folders: dict[str, Path], family: str
) -> None:
    loaded: Any = load_pretrained(folders[family], AutoModelForCausalLM, lambda _: None, 1)
    model, tokenizer = loaded[0].train(), loaded[1]
    prompts = [tokenizer(text)["input_ids"] for text in TEXTS[:20]]
    told: list[tuple[int, int]] = []

    found = write(model, tokenizer, prompts, 6, lambda done, total: told.append((done, total)))

    assert model.training and told == [(16, 20), (20, 20)]
    model.eval()
    for prompt, text in zip(prompts, found, strict=True):
        theirs = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False)[0, len(prompt) :]
        assert text == tokenizer.decode(theirs, skip_special_tokens=True)


def test_room_for_a_prompt_is_what_training_read_and_the_positions_last_for(folders: dict[str, Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(folders["gpt2"])  # of 64 positions
    assert prompt_room(model, 32, 20) == 32
    assert prompt_room(model, 64, 20) == 44
