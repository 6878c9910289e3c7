"""The table and the labelling view over HTTP: what they show, and all of the table without scripts."""

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.web.conftest import HOSTILE
from tests.web.test_api_findings import findings

Upload = Callable[..., dict[str, Any]]


def page(client: TestClient, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.text
    return response.text


def setup_of(text: str, name: str = "table") -> dict[str, Any]:
    found = re.search(f'data-{name}="([^"]*)"', text)
    assert found is not None
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


def send(client: TestClient, address: str, **form: Any) -> str:
    answer = client.post(address, data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_rows_are_paged_searched_and_shown_as_text(client: TestClient, upload: Upload) -> None:
    rows = [f"text {number},{'a' if number % 2 else 'b'}" for number in range(120)]
    view = upload("text,label\n" + "\n".join(rows) + f"\n{HOSTILE},\n")
    address = f"/data/{view['id']}/rows"
    first = page(client, address)
    assert "1–50 of 121" in first and "offset=50" in first and "← before" not in first
    last = page(client, f"{address}?offset=100")
    assert "101–121 of 121" in last and "next →" not in last
    assert HOSTILE not in last and html.escape(HOSTILE, quote=False)[:14] in last
    assert "text 17" in page(client, f"{address}?q=TEXT+17") and "1 rows" in page(
        client, f"{address}?q=text+17"
    )
    assert 'value="=a" selected' in page(client, f"{address}?only=%3Da")
    assert "No row has that." in page(client, f"{address}?q=nowhere")
    assert "1 rows</small>" in page(client, f"{address}?only=%3D")  # without a label


def test_a_row_is_edited_dropped_and_saved_without_scripts(client: TestClient, upload: Upload) -> None:
    view = upload('id,text,label\n1,"two\nlines",a\n2,more,b\n3,last,a\n')
    address = f"/data/{view['id']}"
    opened = page(client, f"{address}/rows?row=0")
    assert 'name="value:text"' in opened and 'name="before:text"' in opened
    fields = {
        "value:text": "two\r\nlines",
        "before:text": "two\r\nlines",
        "value:label": "b",
        "before:label": "a",
    }
    back = send(client, f"{address}/edits/row", row="0", back=f"{address}/rows?offset=0", **fields)
    assert back == f"{address}/rows?offset=0"
    told = client.get(f"/api/datasets/{view['id']}/edits").json()
    assert told["cells"] == {"label": 1}  # the text only came back with other ends of lines
    late = client.post(f"{address}/edits/row", data={"row": "0", "value:label": "c", "before:label": "a"})
    assert late.status_code == 409 and "by now" in late.text

    send(client, f"{address}/edits/row", row="1", do="drop")
    send(client, f"{address}/edits/add", **{"value:text": "new", "value:label": ""})
    shown = page(client, f"{address}/rows?only=changed")
    assert '<tr id="row-1" class="dropped">' in shown and "<b data-edits-count>3 changes</b>" in shown
    send(client, f"{address}/edits/undo")
    send(client, f"{address}/edits/redo")
    send(client, f"{address}/edits/row", row="1", do="restore")
    assert "1 in label, 1 added" in page(client, address)  # on the page of the data too
    send(client, f"{address}/edits/save", expected="1")
    after = client.get(f"/api/datasets/{view['id']}").json()
    assert (after["version"], after["rows"]) == (2, 4)
    assert "<b data-edits-count>" not in page(client, address)


def test_hostile_labels_and_columns_are_text(client: TestClient, upload: Upload) -> None:
    rows = "".join(f"some text {n},{HOSTILE},{'x' if n % 2 else HOSTILE}\n" for n in range(20))
    dataset = upload(f"text,<b>'\",label\n{rows}")["id"]
    client.post(f"/api/datasets/{dataset}/edits", json={"add": [{"label": f"{HOSTILE}2"}]})
    for name, holder in (("rows", "table"), ("label", "label")):
        text = page(client, f"/data/{dataset}/{name}?label=label")
        assert HOSTILE not in text and "<b>'" not in text
        assert [one["name"] for one in setup_of(text, holder)["labels"]] == [HOSTILE, f"{HOSTILE}2", "x"]


def test_fixes_wait_until_edits_are_saved(client: TestClient, upload: Upload) -> None:
    dataset = upload("text,label\n" + "the same text,a\nthe same text,a\nanother text,b\n" * 5)["id"]
    findings(client, dataset)
    assert "disabled" not in page(client, f"/data/{dataset}")
    client.post(f"/api/datasets/{dataset}/edits", json={"drop": [0]})
    text = page(client, f"/data/{dataset}/doctor")
    assert "1 change that is not saved yet" in text and re.search(r'name="fix"[^>]* disabled', text)


def test_discarding_and_its_undo(client: TestClient, upload: Upload) -> None:
    address = f"/data/{upload()['id']}"
    send(client, f"{address}/edits/row", row="1", do="drop")
    send(client, f"{address}/edits/discard")
    shown = page(client, f"{address}/rows")
    assert "No change" in shown
    send(client, f"{address}/edits/undo")
    assert "1 to be dropped" in page(client, f"{address}/rows")


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/data/../x", "/data/ID\\x", "/data/ID\nx"]
)
def test_a_form_leads_back_to_our_pages_only(client: TestClient, upload: Upload, back: str) -> None:
    address = f"/data/{upload()['id']}"
    back = back.replace("/data/ID", address)
    assert send(client, f"{address}/edits/row", row="1", do="drop", back=back) == f"{address}/rows"


def test_bad_rows_of_a_form_are_told(client: TestClient, upload: Upload) -> None:
    address = f"/data/{upload()['id']}/edits"
    assert client.post(f"{address}/row", data={"row": "x"}).status_code == 422
    assert client.post(f"{address}/row", data={"row": "999", "value:label": "x"}).status_code == 404
    assert client.post(f"{address}/add", data={"value:text": " "}).status_code == 422


def test_labels_have_keys_by_name_or_where_they_are_many_by_count(client: TestClient, upload: Upload) -> None:
    told = setup_of(page(client, f"/data/{upload()['id']}/rows"))
    assert told["columns"] == ["label", "text"] and told["kind"] == "classes"
    assert [(one["key"], one["name"]) for one in told["labels"]] == [("1", "negative"), ("2", "positive")]
    many = "text,label\n" + "".join(f"some text {n},class {n % 40:02}\n" for n in range(200))
    many += "".join(f"another text {n},class 39\n" for n in range(5))
    labels = setup_of(page(client, f"/data/{upload(many)['id']}/rows"))["labels"]
    assert labels[0]["name"] == "class 39" and labels[0]["key"] == "1" and labels[39]["key"] == ""
    assert "s" not in {one["key"] for one in labels}


def test_a_label_that_is_only_in_edits_has_a_key_too(client: TestClient, upload: Upload) -> None:
    dataset = upload()["id"]
    client.post(f"/api/datasets/{dataset}/edits", json={"add": [{"text": "a", "label": "neutral"}]})
    labels = setup_of(page(client, f"/data/{dataset}/label"), "label")["labels"]
    assert [one["name"] for one in labels] == ["negative", "neutral", "positive"]


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        ("text,label\n" + "".join(f"text {n},{'a' if n % 2 else ''}\n" for n in range(40)), "classes", "left out of training"),
        ("text,label\n" + "".join(f"text {n},a|b\n" for n in range(40)), "several", "none of them fits"),
        ("text,label\n" + "".join(f"text {n},{n / 7:.3f}\n" for n in range(40)), "numbers", "left out of training"),
    ],
)  # fmt: skip
def test_the_labelling_view_fits_the_labels(
    client: TestClient, upload: Upload, content: str, kind: str, sentence: str
) -> None:
    text = page(client, f"/data/{upload(content)['id']}/label")
    assert setup_of(text, "label")["kind"] == kind and sentence in text
    assert ("data-number" in text) is (kind == "numbers")


def test_where_there_is_nothing_to_label_that_is_said(client: TestClient, upload: Upload) -> None:
    view = upload("in O\nYork B-LOC\n\nAnn B-PER\nsleeps O\n", "news.conll")
    address = f"/data/{view['id']}"
    assert "has no column of labels" in page(client, f"{address}/label")
    assert f"{address}/label" not in page(client, f"{address}/rows")


def test_texts_without_labels_get_a_column_for_them(client: TestClient, upload: Upload) -> None:
    dataset = upload("one text\nanother text\nand a third\n", "texts.txt")["id"]
    address = f"/data/{dataset}"
    assert f"{address}/label" in page(client, address)
    assert "Add it and begin" in page(client, f"{address}/label")
    refused = client.post(f"{address}/column", data={"name": "text"})
    assert refused.status_code == 409 and "a column text already" in refused.text
    back = send(client, f"{address}/column", name="topic")
    assert back == f"{address}/label?label=topic"
    told = setup_of(page(client, back), "label")
    assert (told["text"], told["label"], told["kind"], told["labels"]) == (["text"], "topic", "classes", [])
    cells = [{"row": row, "column": "topic", "value": value, "before": ""} for row, value in enumerate("aab")]
    assert client.post(f"/api/datasets/{dataset}/edits", json={"cells": cells}).status_code == 201
    client.post(f"/api/datasets/{dataset}/edits/save")
    view = client.get(f"/api/datasets/{dataset}").json()
    assert view["columns"] == ["text", "topic"] and view["profile"]["label"] == "topic"
    for version in (2, 1):
        assert client.post(f"/api/datasets/{dataset}/undo").json() == {"version": version}
    assert client.get(f"/api/datasets/{dataset}").json()["columns"] == ["text"]


def test_the_new_run_form_offers_to_save(client: TestClient, upload: Upload) -> None:
    dataset = upload()["id"]
    assert "data-save-edits" not in page(client, f"/runs/new?dataset={dataset}")
    client.post(f"/api/datasets/{dataset}/edits", json={"drop": [3]})
    text = page(client, f"/runs/new?dataset={dataset}")
    assert "1 change of this data is not saved yet" in text and "Save as version 2" in text
    back = send(client, f"/data/{dataset}/edits/save", back=f"/runs/new?dataset={dataset}")
    assert "data-save-edits" not in page(client, back)


def test_the_pages_of_what_is_not_ready_say_so(client: TestClient, upload: Upload) -> None:
    broken = upload("text,label\n", "empty.csv")
    assert broken["state"] == "failed"
    for name in ("rows", "label"):
        assert client.get(f"/data/{broken['id']}/{name}").status_code == 409
        assert client.get(f"/data/abcdefghijkl/{name}").status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("q=x", 409), ("column=label", 409), ("changed=true", 409)),
        *(("value=x&edits=true", 409), ("edits=true&column=lable", 404)),
    ],
)
def test_a_search_that_means_nothing_is_refused(
    client: TestClient, upload: Upload, query: str, status: int
) -> None:
    answer = client.get(f"/api/datasets/{upload()['id']}/rows?{query}")
    assert answer.status_code == status and answer.json()["error"]["message"]
