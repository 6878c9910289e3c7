"""What the card and the results say of texts that are longer than the model reads."""

import pytest

from app.core.spec import RunSpec, parse_spec
from app.tasks import TASKS
from app.tasks.long_texts import head_and_tail, length_note, overlap


def spec_of(truncation: str, task: str = "classification") -> RunSpec:
    columns = {"text": "text", "label": "label"}
    fields = {"dataset": "abcdefabcdef", "columns": columns, "max_length": 512}
    return parse_spec({**fields, "task": task, "truncation": truncation})


def test_a_quarter_is_head_or_shared() -> None:
    assert head_and_tail(512) == (128, 384) and head_and_tail(10) == (2, 8)
    assert overlap(512) == 128


@pytest.mark.parametrize("task", ["classification", "multilabel", "score"])
@pytest.mark.parametrize("truncation", ["head_tail", "windows"])
def test_the_cards_lines_do_as_the_training_did_and_warn_of_the_pipeline(task: str, truncation: str) -> None:
    lines = TASKS[task].usage(spec_of(truncation, task), "FOLDER")
    compile(lines, "card", "exec")
    assert ("[:, -384:]" if truncation == "head_tail" else "stride=128") in lines
    assert "cuts a long text at its end" in lines


@pytest.mark.parametrize("task", ["classification", "multilabel", "score"])
def test_a_run_that_cuts_the_end_needs_no_warning(task: str) -> None:
    lines = TASKS[task].usage(spec_of("end", task), "FOLDER")
    compile(lines, "card", "exec")
    assert "max_length=512" in lines and "measured here" not in lines


def test_the_note_counts_and_says_what_is_read() -> None:
    assert length_note(spec_of("end"), 0, 50) is None
    note = length_note(spec_of("end"), 1, 1200)
    assert note == "1 of 1,200 texts is longer than 512 tokens; the model reads only their beginning."
    assert "beginning and their end" in str(length_note(spec_of("head_tail"), 3, 9))
    assert "overlapping windows" in str(length_note(spec_of("windows"), 3, 9))
