import pytest

from app.web import entities
from app.web.entities import Palette, of_spans, of_tokens, preview


def shown(tokens: str, tags: str) -> str:
    """Entities in brackets, as "in [New York|LOC]"."""
    segments = of_tokens(tokens.split(" "), tags.split(" "), Palette())
    return "".join(f"[{one['text']}|{one['type']}]" if one["type"] else one["text"] for one in segments)


@pytest.mark.parametrize(
    ("tokens", "tags", "text"),
    [
        ("I saw it", "O O O", "I saw it"),
        ("in New York now", "O B-LOC I-LOC O", "in [New York|LOC] now"),
        ("Ann Bob", "B-PER B-PER", "[Ann|PER] [Bob|PER]"),
        ("Ann Paris", "B-PER I-LOC", "[Ann|PER] [Paris|LOC]"),
        ("Ann said", "I-PER I-PER", "[Ann said|PER]"),
        ("a b c d", "B-X I-X E-X S-X", "[a b c|X] [d|X]"),
        ("a b", "U-X L-X", "[a b|X]"),
        ("a b", "B-x-y I-x-y", "[a b|x-y]"),
        ("I saw", "PRON VERB", "[I|PRON] [saw|VERB]"),
        ("我 在 北 京 。", "O O B-LOC I-LOC O", "我在[北京|LOC]。"),
        ("x", "_", "x"),
    ],
)
def test_tokens_become_a_text_with_entities(tokens: str, tags: str, text: str) -> None:
    assert shown(tokens, tags) == text


def test_each_type_has_one_colour_and_colours_repeat() -> None:
    palette = Palette()
    colours = [palette.segment("x", f"T{number}")["colour"] for number in range(10)]
    assert colours == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert palette.segment("y", "T9")["colour"] == 1


def test_spans_cut_the_text_in_code_points() -> None:
    spans = [
        {"start": 3, "end": 9, "label": "LOC"},
        {"start": 0, "end": 1, "label": "X"},
        {"start": 4, "end": 6, "label": "inside another"},
        {"start": 8, "end": 99, "label": "outside"},
        {"start": 9, "end": 9, "label": "empty"},
    ]
    segments = of_spans("😀: Berlin!", spans, Palette())
    assert [(one["text"], one["type"]) for one in segments] == [
        ("😀", "X"),
        (": ", None),
        ("Berlin", "LOC"),
        ("!", None),
    ]


def test_a_page_of_rows_is_marked_in_the_same_colours() -> None:
    roles = {"tokens": "words", "tags": "ner"}
    rows = [{"cells": {"words": '["a"]', "ner": f'["B-{type_}"]'}} for type_ in ("X", "Y", "X")]
    first, second, third = preview(rows, roles)
    assert [cells["words"][0]["colour"] for cells in (first, second, third)] == [0, 1, 0]
    assert first["ner"] == [{"text": "B-X", "type": None, "colour": 0}]


@pytest.mark.parametrize(
    "cells",
    [
        {"tokens": '["a", "b"]', "tags": '["O"]', "text": ""},
        {"tokens": "no list", "tags": "[]", "text": "x", "spans": "["},
        {"tokens": "", "tags": "", "text": "x", "spans": '[{"start": 0}]'},
        {"tokens": '{"a": 1}', "tags": "7", "text": "x", "spans": "[1]"},
        {"tokens": "[" * 100_000, "tags": "[]", "text": "x", "spans": '[{"start": true, "end": "1"}]'},
    ],
)
def test_what_does_not_fit_together_stays_as_it_is(cells: dict[str, str]) -> None:
    roles = {"tokens": "tokens", "tags": "tags", "text": "text", "spans": "spans"}
    assert preview([{"cells": cells}], roles) == [{}]


def test_long_rows_are_cut() -> None:
    many = "[" + ",".join(['"word"'] * 10_000) + "]"
    (cells,) = preview([{"cells": {"tokens": many, "tags": many}}], {"tokens": "tokens", "tags": "tags"})
    assert cells["tokens"][-1]["text"] == " …"
    assert len(cells["tokens"]) <= 2 * entities.MOST_TOKENS
    text = {"text": "x" * 10_000, "spans": '[{"start": 1, "end": 2}, {"start": 9000, "end": 9001}]'}
    (cells,) = preview([{"cells": text}], {"text": "text", "spans": "spans"})
    assert sum(len(one["text"]) for one in cells["text"]) == entities.MOST_CHARS + 2
