"""The torch-free half of adaptation."""

from typing import Any

import pytest

from app.core.spec import RunSpec, parse_spec
from app.models.info import ModelInfo
from app.tasks import task
from app.tasks.examples import Examples

TASK = task("adaptation")


def spec_of(**fields: Any) -> RunSpec:
    return parse_spec(
        {"dataset": "abcdefabcdef", "task": "adaptation", "columns": {"text": "text"}, **fields}
    )


def examples(*texts: str) -> Examples:
    return Examples(list(range(len(texts))), {"text": list(texts)}, ["train"] * len(texts))


def test_less_text_than_a_block_is_told_at_once() -> None:
    (problem,) = TASK.check(examples("short", "é"), spec_of(max_length=64))
    assert problem["where"] == "max_length"
    assert "only 7 bytes, which don't fill one block of 64 tokens" in problem["message"]
    assert TASK.check(examples("a text " * 10), spec_of(max_length=64)) == []
    assert TASK.check(examples("a"), spec_of()) == []  # the length is not known yet


@pytest.mark.parametrize(
    ("family", "fields", "wrong"),
    [
        ("bert", {"whole_word_masking": True, "mask_probability": 0.3}, []),
        ("gpt2", {}, []),
        ("gpt2", {"whole_word_masking": True}, ["whole_word_masking"]),
        ("gpt2", {"mask_probability": 0.3}, ["mask_probability"]),
    ],
)
def test_a_decoder_masks_nothing(family: str, fields: dict[str, Any], wrong: list[str]) -> None:
    model = ModelInfo("local:m", "m", family, "local", ["adaptation"])
    problems = TASK.check_model(spec_of(**fields), model)
    assert [problem["where"] for problem in problems] == wrong


def test_it_is_a_base_for_other_runs_and_answers_nothing() -> None:
    assert not TASK.predicts and TASK.primary_is_lower
    assert [metric.name for metric in TASK.judged_by] == ["perplexity", "perplexity_before"]
    compile(TASK.usage(spec_of(), "FOLDER"), "card", "exec")
