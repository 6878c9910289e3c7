"""Which rows of a file ask for one answer together, and which answer stands beside which row."""

from typing import Any

from app.core.spec import RunSpec
from app.datasets.rows import LINE
from app.tasks import task
from worker.asked import Asked, RowByRow, TokenByToken

TAGGING = task("tagging")


def rows(*cells: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {LINE: line, "sentence": sentence, "token": token} for line, (sentence, token) in enumerate(cells, 2)
    ]


def test_a_row_with_an_empty_cell_asks_nothing() -> None:
    spec = RunSpec(dataset="a" * 12, task="pair", columns={"text": "a", "text_pair": "b", "label": "c"})
    layout = RowByRow(task("pair"), spec, {"text": "a", "text_pair": "b"})

    found = list(layout.asked([{"a": "x", "b": "y"}, {"a": "x", "b": " "}, {"a": None, "b": "y"}]))

    assert [one.value for one in found] == [{"text": "x", "text_pair": "y"}, None, None]


def test_a_sentence_ends_where_another_is_named() -> None:
    layout = TokenByToken(TAGGING, "sentence", "token")

    found = list(layout.asked(rows(("1", "Ann"), ("", "sings"), ("1", "."), ("2", "Bob"), ("1", "Eve"))))

    assert [one.value for one in found] == [["Ann", "sings", "."], ["Bob"], ["Eve"]]
    assert [[row[LINE] for row in one.rows] for one in found] == [[2, 3, 4], [5], [6]]


def test_each_token_gets_its_tag_and_a_row_without_a_token_none() -> None:
    layout = TokenByToken(TAGGING, "sentence", "token")
    (asked,) = layout.asked(rows(("1", "Ann"), ("1", " "), ("1", "sings")))

    cells = layout.cells(asked, {"tokens": asked.value, "tags": ["B-PER", "O"], "entities": []})

    assert cells == [{"tag": "B-PER"}, {}, {"tag": "O"}]


def test_a_sentence_without_tokens_asks_nothing() -> None:
    (one, other) = TokenByToken(TAGGING, "sentence", "token").asked(rows(("1", ""), ("2", "Ann")))

    assert one == Asked([*rows(("1", ""))], None) and other.value == ["Ann"]
