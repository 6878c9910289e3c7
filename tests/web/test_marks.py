"""Entities in a text: found, missed, spurious."""

from typing import Any

from app.web.marks import colours_of, of_labels, pieces

COLOURS = colours_of(["PER", "LOC"])


def kinds(detail: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["text"], one["kind"], one["label"]) for one in pieces(detail, COLOURS)]


def test_each_entity_is_found_missed_or_spurious() -> None:
    detail = {
        "tokens": ["Ada", "Byron", "saw", "Rome", "and", "him"],
        "true": [[0, 2, "PER"], [3, 4, "LOC"]],
        "predicted": [[0, 2, "PER"], [5, 6, "PER"]],
    }
    assert kinds(detail) == [
        ("Ada Byron", "found", "PER"),
        (" ", "", ""),
        ("saw", "", ""),
        (" ", "", ""),
        ("Rome", "missed", "LOC"),
        (" ", "", ""),
        ("and", "", ""),
        (" ", "", ""),
        ("him", "spurious", "PER"),
    ]
    assert {one["colour"] for one in pieces(detail, COLOURS) if one["label"] == "PER"} == {COLOURS["PER"]}


def test_another_type_or_other_ends_are_both_a_miss_and_a_mark() -> None:
    other_type = {"tokens": ["Rome"], "true": [[0, 1, "LOC"]], "predicted": [[0, 1, "PER"]]}
    assert kinds(other_type) == [("Rome", "both", "LOC → PER")]
    shorter = {"tokens": ["New", "York"], "true": [[0, 2, "LOC"]], "predicted": [[1, 2, "LOC"]]}
    assert kinds(shorter) == [("New", "missed", "LOC"), (" ", "", ""), ("York", "both", "LOC")]
    assert pieces(shorter, COLOURS)[-1]["title"] == "LOC, marked with other ends"


def test_the_whole_text_is_there_whatever_the_script() -> None:
    tokens = [*list("我在北京"), "and", "Rome"]
    detail = {"tokens": tokens, "true": [[2, 4, "LOC"]], "predicted": []}
    assert "".join(text for text, _, _ in kinds(detail)) == "我在北京 and Rome"
    assert ("北京", "missed", "LOC") in kinds(detail)


def test_spans_of_a_text_count_code_points() -> None:
    detail = {
        "text": "😀 Ada  ran",
        "characters": True,
        "true": [[2, 5, "PER"]],
        "predicted": [[2, 5, "PER"]],
    }
    assert kinds(detail) == [("😀 ", "", ""), ("Ada", "found", "PER"), ("  ran", "", "")]


def test_spans_outside_the_text_do_no_harm() -> None:
    detail = {"tokens": ["a", "b"], "true": [[1, 9, "PER"]], "predicted": []}
    assert "".join(text for text, _, _ in kinds(detail)) == "a b"


def test_labels_are_right_missed_or_wrong() -> None:
    found = {one["text"]: one["kind"] for one in of_labels(["a", "b"], ["b", "c"])}
    assert found == {"a": "missed", "b": "found", "c": "spurious"}
    assert of_labels([], []) == []
