"""The answers of "try it": which picture an answer gets, by its shape alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.tasks import TASKS
from app.web import trying
from tests.web.tasks import Ranking


def run(task: str, columns: dict[str, Any], **results: Any) -> dict[str, Any]:
    spec = {"dataset": "a" * 12, "task": task, "columns": columns, "max_length": 32}
    return {"id": "b" * 12, "task": task, "spec": spec, "results": results}


CLASSES = run("classification", {"text": "t", "label": "l"})
LABELS = run(
    "multilabel",
    {"text": "t", "label": "l"},
    per_class=[{"label": "red", "threshold": 0.4}, {"label": "round", "threshold": 0.7}],
)
SCORE = run("score", {"text": "t", "label": "l"}, scatter={"truth": [1.0, 5.0, 3.0], "predicted": [2, 3, 4]})
TAGS = run("tagging", {"tokens": "w", "tags": "b"}, labels=["LOC", "PER"])
PAIR = run("pair", {"text": "a", "text_pair": "b", "label": "l"})


@pytest.fixture
def ninth() -> Iterator[Ranking]:
    TASKS["ranking"] = task = Ranking()
    yield task
    del TASKS["ranking"]


def test_the_likeliest_class_comes_first() -> None:
    output = {"label": "y", "score": 0.7, "probabilities": {"x": 0.3, "y": 0.7}}
    shown = trying.shown(CLASSES, "a text", output)
    assert shown["kind"] == "bars"
    assert [(bar["label"], bar["share"], bar["chosen"]) for bar in shown["bars"]] == [
        ("y", 0.7, True),
        ("x", 0.3, False),
    ]
    assert {bar["threshold"] for bar in shown["bars"]} == {None}


def test_labels_have_their_thresholds() -> None:
    output = {"labels": ["red"], "probabilities": {"red": 0.5, "round": 0.6}}
    bars = trying.shown(LABELS, "a text", output)["bars"]
    assert [(bar["label"], bar["chosen"], bar["threshold"]) for bar in bars] == [
        ("round", False, 0.7),
        ("red", True, 0.4),
    ]
    nothing = trying.shown({**LABELS, "results": None}, "a text", {**output, "labels": []})["bars"]
    assert not any(bar["chosen"] or bar["threshold"] for bar in nothing)


def test_a_number_stands_on_the_scale_of_the_held_out_rows() -> None:
    assert trying.shown(SCORE, "a", {"value": 2.0}) == {
        "kind": "scale",
        "value": 2.0,
        "low": 1.0,
        "high": 5.0,
        "place": 25.0,
    }
    assert trying.shown(SCORE, "a", {"value": 9})["place"] == 100
    assert trying.shown({**SCORE, "results": {}}, "a", {"value": 9})["place"] is None


def test_entities_are_marked_in_the_text_that_was_typed() -> None:
    entities = [{"start": 4, "end": 10, "label": "PER", "score": 0.9}]
    shown = trying.shown(TAGS, "Ask Zoë 😀!", {"tokens": [], "tags": [], "entities": entities})
    assert [(one["text"], one["type"]) for one in shown["segments"]] == [
        ("Ask ", None),
        ("Zoë 😀!"[:6], "PER"),
    ]
    # The colour is that of the results, where LOC comes first.
    assert [(one["type"], one["colour"]) for one in shown["legend"]] == [("PER", 1)]
    assert shown["found"] == [{"text": "Zoë 😀!", **entities[0]}]
    joined = trying.shown(
        TAGS, ["in", "Rome"], {"entities": [{"start": 3, "end": 7, "label": "LOC", "score": 1}]}
    )
    assert [(one["text"], one["type"]) for one in joined["segments"]] == [("in ", None), ("Rome", "LOC")]


def test_a_text_stays_as_it_was_written() -> None:
    assert trying.shown(CLASSES, "a", {"text": " two\n lines"}) == {"kind": "text", "text": " two\n lines"}


def test_an_answer_of_another_shape_is_a_table(ninth: Ranking) -> None:
    ranking = run("ranking", {"question": "q", "reply": "r"})
    assert trying.shown(ranking, "a", {"rank": 3}) == {"kind": "cells", "cells": {"rank": 3}}
    assert [role["name"] for role in trying.try_form(ranking)["roles"]] == ["question", "reply"]
    assert trying.input_of(ranking, {"question": "why?", "reply": "so"}) == {
        "question": "why?",
        "reply": "so",
    }


def test_the_form_asks_for_what_the_task_reads() -> None:
    assert [role["name"] for role in trying.try_form(PAIR)["roles"]] == ["text", "text_pair"]
    assert [role["title"] for role in trying.try_form(PAIR)["roles"]] == ["text", "the second text"]
    assert [role["title"] for role in trying.try_form(TAGS)["roles"]] == ["a text"]
    assert trying.input_of(PAIR, {"text": "a", "text_pair": "b", "other": "c"}) == {
        "text": "a",
        "text_pair": "b",
    }
    assert trying.input_of(CLASSES, {"text": "a"}) == "a"
    assert trying.input_of(TAGS, {"tokens": '["a", "b"]'}) == ["a", "b"]
    writing = trying.try_form(run("generation", {"prompt": "p", "completion": "c"}))
    assert (writing["waiting"], [role["name"] for role in writing["roles"]]) == (
        "still writing …",
        ["prompt"],
    )
    assert trying.try_form(CLASSES)["waiting"] == "predicting …"
    assert f"headstart-{'b' * 12}" in trying.try_form(CLASSES)["usage"]


def test_a_model_that_answers_nothing_has_no_form() -> None:
    form = trying.try_form(run("adaptation", {"text": "t"}))
    assert not form["predicts"] and form["roles"] == [] and form["usage"]
    assert not trying.try_form(run("a task of another version", {}))["predicts"]
