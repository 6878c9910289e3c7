"""The view in which entities are marked, over HTTP: the columns it finds, the types, and a row as words with entities."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.test_pages_table import page, send, setup_of

Upload = Callable[..., dict[str, Any]]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def entities(client: TestClient, dataset: str, row: int, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/datasets/{dataset}/rows/{row}/entities{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def words(told: dict[str, Any]) -> list[str]:
    return [one["text"] for one in told["words"]]


def test_tokens_and_tags(client: TestClient, upload: Upload) -> None:
    rows = [
        {"tokens": ["Ann", "Lee", "sleeps"], "tags": ["B-PER", "I-PER", "O"]},
        {"tokens": ["in", "Rome"], "tags": ["O", "S-LOC"]},
        {"tokens": ["東", "京"], "tags": ["I-LOC", "O"]},
        {"tokens": ["one"], "tags": ["O", "O"]},
    ]
    dataset = upload(lines(*rows), "a.jsonl")["id"]
    assert f"/data/{dataset}/entities" in page(client, f"/data/{dataset}")
    assert f"/data/{dataset}/entities" in page(client, f"/data/{dataset}/rows")
    told = setup_of(page(client, f"/data/{dataset}/entities"), "entities")
    assert told == {"column": "tags", "scheme": "bio", "types": ["LOC", "PER"]}
    first = entities(client, dataset, 0)
    assert (words(first), first["entities"]) == (["Ann", "Lee", "sleeps"], [[0, 2, "PER"]])
    assert [one["before"] for one in first["words"]] == ["", " ", " "] and first["marked"]
    assert entities(client, dataset, 1)["entities"] == [[1, 2, "LOC"]]  # BIOES
    third = entities(client, dataset, 2)
    assert third["words"][1]["before"] == "" and "no B-LOC stands before it" in third["fault"]
    assert third["entities"] == []
    assert "has 1 tokens and 2 tags" in entities(client, dataset, 3)["fault"]


def test_words_and_types_with_spaces_between_them(client: TestClient, upload: Upload) -> None:
    dataset = upload("words,kinds,n\nAnn Lee sleeps,PER PER O,1\nin Rome,O LOC,2\nnobody knows,,3\n")["id"]
    query = "?words=words&marks=kinds"
    told = setup_of(page(client, f"/data/{dataset}/entities{query}"), "entities")
    assert told == {"column": "kinds", "scheme": "types", "types": ["PER", "LOC"]}
    assert entities(client, dataset, 0, query)["entities"] == [[0, 2, "PER"]]
    last = entities(client, dataset, 2, query)
    assert (last["entities"], last["marked"], last["fault"]) == ([], False, "")


def test_spans_are_of_words_and_count_code_points(client: TestClient, upload: Upload) -> None:
    rows = [
        {"text": "😀 Ann in Rome.", "spans": [{"start": 2, "end": 5, "label": "PER", "id": 7}]},
        {"text": "Ann", "spans": [{"start": 0, "end": 9, "label": "PER"}]},
        {"text": "no one", "spans": []},
    ]
    dataset = upload(lines(*rows), "a.jsonl")["id"]
    told = setup_of(page(client, f"/data/{dataset}/entities"), "entities")
    assert told == {"column": "spans", "scheme": "spans", "types": ["PER"]}
    first = entities(client, dataset, 0)
    assert words(first) == ["😀", "Ann", "in", "Rome", "."] and first["entities"] == [[1, 2, "PER"]]
    assert first["spans"] == [{"start": 2, "end": 5, "label": "PER", "id": 7}]
    assert (first["words"][3]["start"], first["words"][3]["end"]) == (9, 13)
    assert "outside of its text" in entities(client, dataset, 1)["fault"]
    # What is not saved yet counts.
    value = '[{"start":9,"end":13,"label":"LOC"}]'
    cell = {"row": 2, "column": "spans", "value": value, "before": "[]"}
    assert client.post(f"/api/datasets/{dataset}/edits", json={"cells": [cell]}).status_code == 201
    assert "outside of its text" in entities(client, dataset, 2)["fault"]
    assert setup_of(page(client, f"/data/{dataset}/entities"), "entities")["types"] == ["PER"]


def test_texts_get_a_column_for_entities(client: TestClient, upload: Upload) -> None:
    dataset = upload("one text\nanother text\nand a third\n", "texts.txt")["id"]
    address = f"/data/{dataset}"
    assert f"{address}/entities" in page(client, f"{address}/label")
    assert "Add it and begin" in page(client, f"{address}/entities")
    form = {"for": "entities", "words": "text", "name": "ents"}
    back = send(client, f"{address}/column", **form)
    assert back == f"{address}/entities?words=text&marks=ents"
    shown = page(client, back)
    assert setup_of(shown, "entities") == {"column": "ents", "scheme": "spans", "types": []}
    told = entities(client, dataset, 0, "?words=text&marks=ents")
    assert (words(told), told["marked"]) == (["one", "text"], False)


@pytest.mark.parametrize("row", [99, -5])
def test_a_row_or_a_column_that_is_not_there(client: TestClient, upload: Upload, row: int) -> None:
    dataset = upload(lines({"tokens": ["Ann"], "tags": ["B-PER"]}), "a.jsonl")["id"]
    answer = client.get(f"/api/datasets/{dataset}/rows/{row}/entities")
    assert answer.status_code == 404 and "is gone" in answer.text
    numbers = upload("n,m\n1,2\n3,4\n", "numbers.csv")["id"]
    assert client.get(f"/api/datasets/{numbers}/rows/0/entities").status_code == 404
    assert "no column of texts" in page(client, f"/data/{numbers}/entities")
