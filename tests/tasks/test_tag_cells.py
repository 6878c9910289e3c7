"""Cells of tags and spans with another entity in them, written as their column is."""

import json

import pytest

from app.core.spec import RunSpec
from app.tasks.sentences import text_with_spans
from app.tasks.tag_cells import Style, fault_of, style_of, with_spans, with_tags

SPEC = RunSpec(
    dataset="a" * 12, task="tagging", columns={"tokens": "tokens", "tags": "tags"}, model="starter"
)
SPANS = SPEC.model_copy(update={"columns": {"text": "text", "spans": "spans"}})


@pytest.mark.parametrize(
    ("cells", "style"),
    [
        (["O B-LOC I-LOC"], Style()),
        (["O S-LOC", "O B-LOC E-LOC"], Style(single="S", last="E")),
        (["O U-LOC", "B-LOC I-LOC L-LOC"], Style(single="U", last="L")),
        (['["O", "LOC"]', "['PER', 'O']"], Style(bare=True)),
    ],
)
def test_a_column_tells_how_it_writes_tags(cells: list[str], style: Style) -> None:
    assert style_of(cells) == style


@pytest.mark.parametrize(
    ("cell", "style", "after"),
    [
        ("O O B-PER O", Style(), "O B-LOC I-LOC O"),
        ('["O", "O", "B-PER", "O"]', Style(), '["O", "B-LOC", "I-LOC", "O"]'),
        ('["O","O","B-PER","O"]', Style(), '["O","B-LOC","I-LOC","O"]'),
        ("['O', 'O', 'B-PER', 'O']", Style(), "['O', 'B-LOC', 'I-LOC', 'O']"),
        ("O O S-PER O", Style(single="S", last="E"), "O B-LOC E-LOC O"),
        ("O O PER O", Style(bare=True), "O LOC LOC O"),
    ],
)
def test_other_entities_in_a_part_of_a_cell_of_tags(cell: str, style: Style, after: str) -> None:
    assert with_tags(cell, 1, 3, [(1, 3, "LOC")], style) == after
    assert fault_of(SPEC, "in New York ,", after) is None


def test_no_entity_any_more_and_one_of_a_single_token() -> None:
    assert with_tags("B-PER I-PER O", 0, 2, []) == "O O O"
    assert with_tags("O O", 1, 2, [(1, 2, "PER")], Style(single="U", last="L")) == "O U-PER"


def test_a_span_gives_way_to_another_and_the_others_stay_as_they_are() -> None:
    text = "Anna saw New York"
    cell = '[{"start": 0, "end": 4, "label": "PER", "text": "Anna", "id": 7}, {"start": 13, "end": 17, "label": "LOC"}]'
    sentence = text_with_spans(text, cell)
    after = with_spans(cell, sentence, 2, 4, [(2, 4, "LOC")])
    assert json.loads(after) == [
        {"start": 0, "end": 4, "label": "PER", "text": "Anna", "id": 7},
        {"start": 9, "end": 17, "label": "LOC", "text": "New York"},
    ]
    assert fault_of(SPANS, text, after) is None
    assert with_spans("[[0, 4, 'PER']]", text_with_spans(text, "[[0, 4, 'PER']]"), 0, 1, []) == "[]"
    assert (
        with_spans("[]", text_with_spans(text, "[]"), 0, 1, [(0, 1, "PER")])
        == '[{"start":0,"end":4,"label":"PER"}]'
    )


@pytest.mark.parametrize(
    ("spec", "first", "cell", "said"),
    [
        (SPEC, "a b", "O", "has 2 tokens and 1 tags"),
        (SPEC, "a b", "O I-LOC", "no B-LOC stands before it"),
        (SPEC, "a b", '["O", 1]', "which is no string"),
        (SPANS, "a b", '[{"start": 0, "end": 9, "label": "X"}]', "outside of its text"),
    ],
)
def test_what_can_not_stand_there_is_told(spec: RunSpec, first: str, cell: str, said: str) -> None:
    assert said in (fault_of(spec, first, cell) or "")
