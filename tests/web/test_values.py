"""What is in the columns of a task, as a small picture."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.tasks import TASKS
from app.web import values
from app.web.services import Services

Upload = Callable[..., dict[str, Any]]
Show = Callable[..., dict[str, Any]]


@pytest.fixture
def show(upload: Upload, services: Services) -> Show:
    """The picture for a task over a file."""

    def picture(task: str, content: str, name: str = "a.csv", **columns: Any) -> dict[str, Any]:
        view = services.datasets.view(upload(content, name)["id"])
        return values.picture(TASKS[task], columns, view, values.sample(services, view))

    return picture


def counted(shown: dict[str, Any]) -> dict[str, int]:
    assert shown["kind"] == "bars"
    return {bar["label"]: bar["count"] for bar in shown["bars"]["bars"]}


def test_labels_are_counted(show: Show) -> None:
    content = "text,label\n" + "a b c,x\nd e f,y\ng h i,x\n" * 3
    assert counted(show("classification", content, text="text", label="label")) == {"x": 6, "y": 3}
    assert show("classification", content, text="text", label="")["kind"] == "none"


def test_free_text_is_no_label(show: Show) -> None:
    content = "text,label\n" + "".join(f"a b {n},some words {n}\n" for n in range(1200))
    assert show("classification", content, text="text", label="label") == {"kind": "many", "distinct": 1200}


def test_each_label_of_a_row_counts(show: Show) -> None:
    piped = "text,labels\n" + "a b,red | round\nc d,red\ne f,\n" * 4
    assert counted(show("multilabel", piped, text="text", label="labels")) == {"red": 8, "round": 4}
    flags = "text,funny,long\n" + "a b,1,0\nc d,1,1\ne f,0,0\n" * 4
    assert counted(show("multilabel", flags, text="text", label=["funny", "long"])) == {"funny": 8, "long": 4}


def test_entities_are_counted_by_type(show: Show) -> None:
    tags = [["B-A", "I-A", "O", "B-A", "B-B"], ["I-B", "O", "I-B", "I-A", "O"]]
    rows = [json.dumps({"tokens": list("vwxyz"), "tags": one}) + "\n" for one in tags]
    assert counted(show("tagging", "".join(rows * 9), "a.jsonl", tokens="tokens", tags="tags")) == {
        "A": 27,
        "B": 27,
    }
    spans = json.dumps({"text": "abcdef", "spans": [{"start": 0, "end": 2, "label": "A"}]}) + "\n"
    assert counted(show("tagging", spans * 9, "a.jsonl", text="text", spans="spans")) == {"A": 9}


def test_numbers_are_a_histogram(show: Show) -> None:
    content = "text,score\n" + "".join(f"a b {n},{n}\n" for n in range(101))
    shown = show("score", content, text="text", label="score")
    assert (shown["kind"], shown["low"], shown["high"], shown["mean"]) == ("numbers", 0, 100, 50)
    assert len(shown["bars"]) == values.BINS and shown["bars"][0]["title"] == "0 to 4.17: 5"
    wrong = show("score", "text,score\n" + "a b,1\nc d,two\n" * 5, text="text", label="score")
    assert wrong == {"kind": "wrong", "cell": "two"}


def test_a_histogram_of_one_value_stays_in_its_field() -> None:
    (bar,) = values.histogram([3.0, 3.0])["bars"]
    assert bar["y"] == 0 and bar["height"] == values.HEIGHT and bar["x"] + bar["width"] <= values.WIDTH


def test_without_labels_the_first_row_is_shown(show: Show) -> None:
    content = "source,target\n" + "".join(f"one {n} {'x' * 500},eins {n}\n" for n in range(9))
    shown = show("text2text", content, source="source", target="target")
    assert shown["kind"] == "example"
    assert [one["text"][:6] for one in shown["rows"]] == ["one 0 ", "eins 0"]
    assert len(shown["rows"][0]["text"]) == values.EXAMPLE_CHARS
