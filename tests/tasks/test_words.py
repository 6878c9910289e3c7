"""What counts as a word of a text that nobody has cut."""

import pytest

from app.tasks.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("EU rejects German call.", ["EU", "rejects", "German", "call", "."]),
        ("  (Paris),\n\t\u00a0e.g. it ", ["(", "Paris", ")", ",", "e.g.", "it"]),
        ("U.S. and the U.S.", ["U.S.", "and", "the", "U.S."]),
        ("Germany's Jean-Baptiste don’t", ["Germany", "'s", "Jean-Baptiste", "don’t"]),
        ('well... -- "no" 3.5%', ["well", "...", "--", '"', "no", '"', "3.5", "%"]),
        ("@someone #topic, http://a.b/c.", ["@someone", "#topic", ",", "http://a.b/c", "."]),
        ("我爱iPhone12手机。", ["我", "爱", "iPhone12", "手", "机", "。"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("วันนี้", ["วั", "น", "นี้"]),  # a letter with its marks
        ("서울에 간다", ["서울에", "간다"]),
        ("", []),
        (" \n", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_of(text)] == words


def test_no_word_reaches_over_an_edge() -> None:
    text = "Newcastle-upon, Tyne"
    cut = [text[start:end] for start, end in words_of(text, edges=[0, 3, 9, 14, 15, 18])]
    assert cut == ["New", "castle", "-upon", ",", "Ty", "ne"]


def test_nothing_but_white_space_is_lost() -> None:
    text = "a  b.c, (d)\u3000“e” f…! 北京é"
    assert "".join(text[start:end] for start, end in words_of(text)) == "".join(text.split())
