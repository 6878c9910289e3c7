"""The torch-free half of generation: its columns, its inputs, its options."""

from typing import Any

import pytest

from app.checks import option_problems
from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.models.info import ModelInfo
from app.tasks import task
from app.tasks.generation import opened, paired

TASK = task("generation")


def spec_of(columns: dict[str, str] | None = None, **fields: Any) -> RunSpec:
    columns = columns or {"prompt": "question", "completion": "answer"}
    return parse_spec({"dataset": "abcdefabcdef", "task": "generation", "columns": columns, **fields})


ALONE = spec_of({"text": "story"})


def test_it_reads_prompt_and_completion_or_a_text_alone() -> None:
    assert [role.name for role in TASK.roles({"prompt": "a"})] == ["prompt", "completion"]
    assert [role.name for role in TASK.roles({"text": "a"})] == ["text"]
    assert [role.name for role in TASK.input_roles(spec_of())] == ["prompt"]
    assert [role.name for role in TASK.input_roles(ALONE)] == ["text"]
    assert paired(spec_of()) and not paired(ALONE)


def test_rows_without_a_completion_are_left_out_and_white_space_stays() -> None:
    cells = {"question": ["What? ", "Who?", ""], "answer": [" This.", " ", "x"]}
    reading = TASK.read(cells.__getitem__, spec_of(), str)
    assert reading.left_out == [None, "empty completion", "empty prompt"]
    assert reading.values["completion"][0] == " This." and reading.values["prompt"][0] == "What? "


def test_the_lower_loss_is_the_better() -> None:
    assert TASK.primary == "loss" and TASK.primary_is_lower
    assert all(metric.lower and metric.top is None for metric in TASK.judged_by)


def test_a_line_break_ends_a_prompt_that_white_space_does_not() -> None:
    assert [opened(prompt) for prompt in ("a", "a ", "a\n", "")] == ["a\n", "a ", "a\n", "\n"]


@pytest.mark.parametrize(("limit", "fits"), [(64, False), (65, True), (None, True)])
def test_there_must_be_room_for_what_is_written(limit: int | None, fits: bool) -> None:
    model = ModelInfo("local:m", "m", "gpt2", "local", ["generation"], max_length=limit)
    problems = TASK.check_model(spec_of(max_new_tokens=64), model)
    assert (problems == []) == fits
    if not fits:
        assert problems[0]["where"] == "max_new_tokens" and "at most 32" in problems[0]["message"]


def test_inputs_are_texts_and_one_without_words_refuses_no_other() -> None:
    assert [TASK.wrong_input(text, spec_of()) for text in ("Once", " \n", "")] == [None] * 3
    assert "must be a text" in str(TASK.wrong_input(3, spec_of()))
    assert TASK.wrong_input("", ALONE) is None
    assert TASK.output_cells({"text": "upon a time"}) == {"text": "upon a time"}


def test_replay_is_a_share_and_no_other_task_has_it() -> None:
    assert spec_of().replay == 0 and option_problems(spec_of(replay=0.2), TASK) == []
    for name in ("text2text", "adaptation", "classification"):
        spec = spec_of(replay=0.2).model_copy(update={"task": name})
        (problem,) = option_problems(spec, task(name))
        assert problem == {"where": "replay", "message": f"means nothing for {name}; leave it out"}
    with pytest.raises(Invalid, match=r"replay: .*less than or equal to 0\.5"):
        spec_of(replay=0.6)


def test_the_card_says_how_to_ask() -> None:
    lines = TASK.usage(spec_of(max_new_tokens=9), "FOLDER")
    compile(lines, "card", "exec")
    assert "chat_template" in lines and "max_new_tokens=9" in lines
    compile(TASK.usage(ALONE, "FOLDER"), "card", "exec")
    assert "chat_template" not in TASK.usage(ALONE, "FOLDER")
