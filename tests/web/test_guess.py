"""What a new run's form begins with: the task that a data set looks made for, and its columns."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.tasks import TASKS
from app.web import guess, values
from app.web.services import Services

Upload = Callable[..., dict[str, Any]]
SENTENCES = [f"the {word} number {n} was seen by many people" for n in range(15) for word in ("cat", "dog")]


def table(header: str, *columns: Any) -> str:
    cells = [[f'"{cell}"' if "," in str(cell) else str(cell) for cell in column] for column in columns]
    return header + "\n" + "".join(",".join(row) + "\n" for row in zip(*cells, strict=True))


TAGGED = "".join(
    json.dumps({"tokens": text.split(), "tags": ["O", "B-ANIMAL", *["O"] * (len(text.split()) - 2)]}) + "\n"
    for text in SENTENCES
)
SPANS = "".join(
    json.dumps({"text": text, "spans": [{"start": 4, "end": 7, "label": "ANIMAL"}]}) + "\n"
    for text in SENTENCES
)
OTHERS = [text[::-1] for text in SENTENCES]
FILES = {
    "classification": ("a.csv", table("text,label", SENTENCES, ["x", "y"] * 15)),
    "stars": ("a.csv", table("text,stars", SENTENCES, [1, 2, 3, 4, 5] * 6)),
    "score": ("a.csv", table("text,score", SENTENCES, [f"{n / 7:.3f}" for n in range(30)])),
    "score with commas": ("a.csv", "text;score\n" + "".join(f"a text {n};{n % 7},{n}\n" for n in range(30))),
    "multilabel": ("a.csv", table("text,labels", SENTENCES, ["red|round", "red", ""] * 10)),
    "lists of labels": (
        "a.jsonl",
        "".join(
            json.dumps({"text": text, "labels": ["red", "round"][: n % 3]}) + "\n"
            for n, text in enumerate(SENTENCES)
        ),
    ),
    "flags": ("a.csv", table("text,funny,long", SENTENCES, [0, 1] * 15, [1, 1, 0] * 10)),
    "pair": ("a.csv", table("sentence1,sentence2,label", SENTENCES, OTHERS, ["x", "y"] * 15)),
    "text2text": ("a.csv", table("source,target", SENTENCES, OTHERS)),
    "generation": ("a.csv", table("prompt,completion", SENTENCES, OTHERS)),
    "adaptation": ("a.txt", "\n".join(SENTENCES) + "\n"),
    "tagging": ("a.jsonl", TAGGED),
    "spans": ("a.jsonl", SPANS),
}
MADE_FOR = {
    "lists of labels": "multilabel",
    "stars": "classification",
    "score with commas": "score",
    "flags": "multilabel",
    "spans": "tagging",
}


@pytest.mark.parametrize("kind", FILES)
def test_the_task_is_guessed_from_the_data(kind: str, upload: Upload, services: Services) -> None:
    name, content = FILES[kind]
    view = services.datasets.view(upload(content, name)["id"])
    task = guess.task_for(view, values.sample(services, view), {})
    assert task.name == MADE_FOR.get(kind, kind)
    way = task.roles(guess.roles_in(view))
    assert all(guess.fill(way, view, {}).values())


def test_the_label_that_was_chosen_decides(upload: Upload, services: Services) -> None:
    numbers = [f"{n / 7:.3f}" for n in range(30)]
    view = services.datasets.view(
        upload(table("text,label,level", SENTENCES, ["x", "y"] * 15, numbers))["id"]
    )
    items = values.sample(services, view)
    assert guess.task_for(view, items, {"label": "level"}).name == "score"
    assert guess.task_for(view, items, {"label": "no such column"}).name == "classification"


def test_no_column_is_guessed_twice_and_what_is_chosen_stays(upload: Upload, services: Services) -> None:
    view = services.datasets.view(upload(FILES["pair"][1])["id"])
    way = TASKS["pair"].inputs[0]
    chosen = guess.fill(way, view, {"text": "sentence2", "text_pair": "gone"})
    assert chosen == {"text": "sentence2", "text_pair": "", "label": "label"}


def test_columns_of_zero_and_one_are_labels_together(upload: Upload, services: Services) -> None:
    view = services.datasets.view(upload(FILES["flags"][1])["id"])
    way = TASKS["multilabel"].inputs[0]
    assert guess.fill(way, view, {})["label"] == ["funny", "long"]
    assert guess.fill(way, view, {"label:long": "on"})["label"] == ["long"]


def test_an_old_profile_without_roles_serves_too() -> None:
    columns = {"a": {"counts": None, "distinct": 9}, "b": {"counts": {"x": 2, "y": 3}, "distinct": 2}}
    view = {"columns": ["a", "b"], "profile": {"columns": columns, "text": "a", "label": "b"}}
    items = [{"cells": {"a": "words", "b": "x"}}]
    assert guess.task_for(view, items, {}).name == "classification"
    assert guess.fill(TASKS["classification"].inputs[0], view, {}) == {"text": "a", "label": "b"}
