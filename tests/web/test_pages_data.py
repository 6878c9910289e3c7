"""The page of a data set that is no table of texts and labels."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.web.services import Services
from tests.web.conftest import CSV, HOSTILE

Upload = Callable[..., dict[str, Any]]

CONLL = "in O\nNew B-LOC\nYork I-LOC\n\nAnn B-PER\nsleeps O\n"


def page(client: TestClient, dataset_id: str) -> str:
    response = client.get(f"/data/{dataset_id}")
    assert response.status_code == 200
    return response.text


def test_entities_are_coloured(client: TestClient, upload: Upload) -> None:
    text = page(client, upload(CONLL, "news.conll")["id"])
    assert 'in <mark class="ent ent-0">New York<small>LOC</small></mark>' in text
    assert '<mark class="ent ent-1">Ann<small>PER</small></mark> sleeps' in text
    assert "[&#34;" not in text  # no JSON
    assert "<td>tokens</td>" in text and 'name="label"' not in text


def test_hostile_tokens_and_types_are_text(client: TestClient, upload: Upload) -> None:
    row = json.dumps({"tokens": [HOSTILE, "b"], "tags": [f"B-{HOSTILE}", "O"]})
    text = page(client, upload(row, "a.jsonl")["id"])
    assert HOSTILE not in text and text.count("&lt;script&gt;alert(") >= 2


def test_spans_are_shown_in_their_text(client: TestClient, upload: Upload) -> None:
    row = json.dumps({"text": "I like Berlin", "spans": [{"start": 7, "end": 13, "label": "LOC"}]})
    text = page(client, upload(row, "a.jsonl")["id"])
    assert 'I like <mark class="ent ent-0">Berlin<small>LOC</small></mark>' in text


def test_plain_text_asks_for_no_label(client: TestClient, upload: Upload) -> None:
    text = page(client, upload("one text\nanother text\n", "domain.txt")["id"])
    assert "another text" in text and 'name="label"' not in text
    assert "<small>plain text, utf-8" in text


def test_the_form_reads_a_file_in_another_format(client: TestClient, upload: Upload) -> None:
    view = upload(CSV, "reviews.txt")
    assert view["columns"] == ["text"]
    answer = client.post(f"/data/{view['id']}/reread", data={"format": "csv"}, follow_redirects=False)
    assert answer.status_code == 303
    text = page(client, view["id"])
    assert '<option value="csv" selected>' in text and '<th class="chosen" data-column="label">' in text


def test_the_api_reads_a_file_in_another_format(client: TestClient, upload: Upload) -> None:
    view = upload(CSV, "reviews.txt")
    assert view["options"]["format"] == "text"
    found = client.post(f"/api/datasets/{view['id']}/reread", json={"format": "csv"}).json()
    assert (found["columns"], found["options"]["format"]) == (["text", "label"], "csv")
    assert found["options"]["asked"]["format"] == "csv"


@pytest.mark.parametrize("format", ["xls", 7])
def test_an_unknown_format_is_refused_by_name(client: TestClient, upload: Upload, format: Any) -> None:
    view = upload(CSV, "reviews.csv")
    answer = client.post(f"/api/datasets/{view['id']}/reread", json={"format": format})
    assert answer.status_code == 422
    assert answer.json()["error"]["problems"][0]["where"] == "format"


@pytest.mark.parametrize(
    ("content", "button", "rows"),
    [
        ("text,label\na,x\nb\nc,y\n", ("skip_ragged", "1"), 2),
        ("a good film,1\na bad one,0\n", ("header", "no"), 2),
        ("a good film,1\na bad one,0\n", ("header", "yes"), 1),
    ],
    ids=["uneven rows", "no header", "a header like data"],
)
def test_a_file_that_can_be_read_another_way_is_with_one_press(
    client: TestClient, upload: Upload, content: str, button: tuple[str, str], rows: int
) -> None:
    view = upload(content)
    name, value = button
    assert view["state"] == "failed"
    assert f'name="{name}" value="{value}" type="submit"' in page(client, view["id"])
    client.post(f"/data/{view['id']}/reading", data={name: value})
    read = client.get(f"/api/datasets/{view['id']}").json()
    assert (read["state"], read["rows"]) == ("ready", rows)


def test_a_guessed_encoding_is_chosen_with_one_press(client: TestClient, upload: Upload) -> None:
    view = upload("text,label\nschöne Grüße,x\nplain,y\n".encode("cp1252"), "reviews.csv")
    page = client.get(f"/data/{view['id']}").text
    assert "Which of these reads right?" in page and page.count("schöne Grüße") >= 2
    answer = client.post(f"/data/{view['id']}/reading", data={"encoding": "windows-1252"})
    assert answer.status_code == 200 and "Which of these reads right?" not in answer.text
    assert client.get(f"/api/datasets/{view['id']}").json()["options"]["encoding_guessed"] is False
    assert client.get(f"/api/datasets/{view['id']}/encodings").json()["lines"] == [2]


def test_where_no_encoding_fits_the_candidates_are_shown(client: TestClient, upload: Upload) -> None:
    good = "schöne Grüße,x\n" * 20
    view = upload(f"text,label\n{good}".encode() + b"caf\xe9,y\n", "reviews.csv")
    assert view["state"] == "failed"
    assert "Which of these reads right?" in client.get(f"/data/{view['id']}").text


def test_what_could_not_be_fetched_can_be_tried_again(client: TestClient, services: Services) -> None:
    dataset_id = services.datasets.begin_remote("http://127.0.0.1:1/reviews.csv", "reviews.csv", private=True)
    services.datasets.read(dataset_id)
    page = client.get(f"/data/{dataset_id}").text
    assert "can&#39;t be reached" in page and "Try again" in page and "How the file is read" not in page


def test_the_first_rows_show_what_is_not_saved_yet(client: TestClient, upload: Upload) -> None:
    dataset = upload("text,label\nfirst text,pos\nsecond text,neg\nthird text,pos\n")["id"]
    cell = {"row": 0, "column": "label", "value": "<odd>", "before": "pos"}
    client.post(
        f"/api/datasets/{dataset}/edits", json={"cells": [cell], "drop": [1], "add": [{"text": "more"}]}
    )
    shown = client.get(f"/data/{dataset}").text
    assert re.search(r'edited" title="not saved yet; saved: pos"[^>]*>&lt;odd&gt;<', shown)
    assert "4 of 4</small>" in shown
    assert re.search(r'<tr class="dropped"><td class="line num">3</td>', shown)
    assert re.search(r'<td class="line num">new</td><td[^>]*>more<', shown)


def test_scores_and_lists_are_labels_too(client: TestClient, upload: Upload) -> None:
    scores = "text,score\n" + "".join(f"a text {n},{n / 7:.3f}\n" for n in range(30))
    page = client.get(f"/data/{upload(scores, 'a.csv')['id']}").text
    assert (
        "<option selected>score</option>" in page
        and "30 different numbers, to be learned as a score." in page
    )
    lists = "".join(f'{{"text": "a text {n}", "labels": ["a", "b"]}}\n' for n in range(30))
    page = client.get(f"/data/{upload(lists, 'a.jsonl')['id']}").text
    assert "Lists of labels: a text may have several." in page
