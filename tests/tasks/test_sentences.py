"""Cells as tokens, tags and spans: what is taken, and what is said of the rest."""

import json
from typing import Any

import pytest

from app.tasks.sentences import Sentence, Unreadable, strings_of, text_with_spans, words_in


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ('["EU","rejects"]', ["EU", "rejects"]),
        ("['EU', \"don't\"]", ["EU", "don't"]),  # what pandas writes
        ("EU rejects  German", ["EU", "rejects", "German"]),
        ("[1] is no list", ["[1]", "is", "no", "list"]),
        ("[]", []),
    ],
)
def test_lists_of_strings(cell: str, found: list[str]) -> None:
    assert strings_of(cell) == found


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ('["EU", "rejects"', "begins like a list and is none"),
        ("['EU' 'rejects' B]", "begins like a list and is none"),
        ("[0, 3]", "has 0 in place 1, which is no string"),
        ('["a", null]', "has null in place 2, which is no string"),
    ],
)
def test_what_is_no_list_of_strings(cell: str, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence.replace("[", r"\[")):
        strings_of(cell)


def spans(*items: Any) -> str:
    return json.dumps(items)


def test_spans_become_tags_of_words_cut_at_their_edges() -> None:
    text = "In Neukölln-Nord 😀 lives Ann Lee, a Berliner."
    cell = spans(
        {"start": 36, "end": 42, "label": "LOC", "text": "Berlin"},
        {"start": 3, "end": 11, "label": " LOC "},
        [25, 32, "PER"],
    )

    sentence = text_with_spans(text, cell)

    tagged = list(zip(sentence.tokens, sentence.tags, strict=True))
    assert [pair for pair in tagged if pair[1] != "O"] == [
        ("Neukölln", "B-LOC"),
        ("Ann", "B-PER"),
        ("Lee", "I-PER"),
        ("Berlin", "B-LOC"),
    ]
    assert ("er", "O") in tagged
    assert [text[start:end] for start, end in sentence.places] == sentence.tokens
    assert sentence.types == ["LOC", "PER"]


def test_a_span_may_have_white_space_at_its_edges_and_none_may_be_there() -> None:
    assert text_with_spans("to Rome now", spans([2, 8, "LOC"])).tags == ["O", "B-LOC", "O"]
    assert text_with_spans("to Rome", "[]").tags == ["O", "O"]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("Rome", "is no list; write spans as"),
        (spans([3, 9, "LOC"]), "3 to 9 (LOC) outside of its text, which has 7 characters"),
        (spans([-1, 2, "LOC"]), "-1 to 2 (LOC) outside of its text"),
        (spans([3, 3, "LOC"]), "3 to 3 (LOC), which is empty"),
        (spans([5, 3, "LOC"]), "5 to 3 (LOC), which is empty"),
        (spans([2, 3, "LOC"]), "2 to 3 (LOC) on white space alone"),
        (spans([0, 5, "A"], [3, 7, "B"]), "overlap: 0 to 5 (A, 'to Ro') and 3 to 7 (B, 'Rome')"),
        (spans([3, 7, ""]), "3 to 7 without a label"),
        (spans([3, "7", "LOC"]), "start and end must be whole numbers"),
        (spans([True, 7, "LOC"]), "start and end must be whole numbers"),
        (spans({"start": 3, "label": "LOC"}), '"start", "end" and "label"'),
        (
            spans({"start": 2, "end": 6, "label": "LOC", "text": "Rome"}),
            "for 'Rome', but there stands ' Rom'",
        ),
    ],
)
def test_spans_that_cannot_be_meant(cell: str, sentence: str) -> None:
    with pytest.raises(Unreadable) as caught:
        text_with_spans("to Rome", cell)
    assert sentence in str(caught.value)


def test_tokens_stand_one_space_apart_where_no_text_is_known() -> None:
    sentence = Sentence(["New", "York", "!"], ["B-LOC", "I-LOC", "O"])
    assert sentence.string == "New York !"
    assert sentence.places == [(0, 3), (4, 8), (9, 10)]


def test_the_words_of_a_text_know_their_places() -> None:
    sentence = words_in("Hi,  you!")
    assert (sentence.tokens, sentence.tags) == (["Hi", ",", "you", "!"], ["O"] * 4)
    assert sentence.places == [(0, 2), (2, 3), (5, 8), (8, 9)]
