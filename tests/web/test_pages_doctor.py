"""The doctor's part of the page, without scripts: findings, their rows, one click on a fix, undo."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.datasets.doctor.conftest import labelled
from tests.web.conftest import CSV, HOSTILE
from tests.web.test_api_findings import MESSY, ROWS, findings

pytestmark = pytest.mark.slow
Upload = Callable[..., dict[str, Any]]


def test_a_fix_is_one_click_and_so_is_the_way_back(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY)["id"]
    findings(client, dataset_id)
    page = client.get(f"/data/{dataset_id}").text
    assert "The same text, different labels" in page and "Keep the first of each, drop 3 rows" in page
    assert "History" not in page
    form = {"finding": "duplicates", "fix": "keep-first", "expected": "1"}
    answer = client.post(f"/data/{dataset_id}/fix", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/data/{dataset_id}#doctor")
    findings(client, dataset_id)
    page = client.get(f"/data/{dataset_id}").text
    assert "drop 3 rows" in page and "version 2" in page and 'id="finding-duplicates"' not in page
    stale = client.post(f"/data/{dataset_id}/fix", data={**form, "finding": "conflicts", "fix": "drop"})
    assert stale.status_code == 409 and "at version 2 by now" in stale.text
    client.post(f"/data/{dataset_id}/undo", data={})
    page = client.get(f"/data/{dataset_id}").text
    assert "(undone)" in page and "Keep the first of each, drop 3 rows" in page
    client.post(f"/data/{dataset_id}/redo", data={})
    assert client.get(f"/api/datasets/{dataset_id}").json()["version"] == 2


def test_the_rows_of_a_finding_open_on_the_page_and_in_the_part(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY + f'"{HOSTILE}",positive\n"{HOSTILE}",positive\n')["id"]
    findings(client, dataset_id)
    for address in (f"/data/{dataset_id}", f"/data/{dataset_id}/doctor"):
        shown = client.get(f"{address}?finding=duplicates&q=script").text
        table = re.search(r"<table class=\"preview of-finding\">.*?</table>", shown, re.DOTALL)
        assert table is not None
        assert "&lt;script&gt;" in table[0] and HOSTILE not in shown
        assert table[0].count("<tr") == 3
        assert "2 rows with" in shown
        assert "No row has that." in client.get(f"{address}?finding=duplicates&q=nowhere").text
    last = client.get(f"/data/{dataset_id}/doctor?finding=duplicates&offset=9999").text
    assert ROWS[0][0] in last  # an address from before shows the first page


def test_a_finding_that_was_looked_at_goes_to_the_end(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY)["id"]
    findings(client, dataset_id)
    client.post(f"/data/{dataset_id}/mark", data={"finding": "conflicts"})
    page = client.get(f"/data/{dataset_id}").text
    assert page.index('id="finding-conflicts"') > page.index('id="finding-duplicates"')
    assert "looked at" in page
    client.post(f"/data/{dataset_id}/mark", data={"finding": "conflicts", "marked": "no"})
    page = client.get(f"/data/{dataset_id}").text
    assert page.index('id="finding-conflicts"') < page.index('id="finding-duplicates"')


def test_good_data_is_said_to_be_good(client: TestClient, upload: Upload) -> None:
    content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in labelled(60))
    dataset_id = upload(content)["id"]
    findings(client, dataset_id)
    assert "Nothing found in 60 rows" in client.get(f"/data/{dataset_id}").text


def test_before_it_is_examined_the_page_says_so_and_chosen_columns_count(
    client: TestClient, upload: Upload
) -> None:
    dataset_id = upload(CSV)["id"]
    assert "data-examining" in client.get(f"/data/{dataset_id}").text
    assert "is no column" in client.get(f"/data/{dataset_id}/doctor?text=nope").text
    findings(client, dataset_id, "?text=label&label=text")
    assert "label → text" in client.get(f"/data/{dataset_id}?text=label&label=text").text


def test_what_reading_found_is_not_told_twice(client: TestClient, upload: Upload) -> None:
    rows = "".join(
        f"{text},{label},{'' if at == 3 else 'web'}\n" for at, (text, label) in enumerate(labelled(60))
    )
    content = f"text,label,source\n{rows},pos,web\nan unlike text,POS,web\n"
    view = upload(content)
    assert {one["where"] for one in view["problems"]} == {"column text", "column label", "column source"}
    findings(client, view["id"])
    page = client.get(f"/data/{view['id']}").text
    assert "Nothing in text" in page and "One label, several spellings" in page
    assert page.count("What reading found") == 1 and "<b>column source</b>" in page
    assert "<b>column text</b>" not in page and "<b>column label</b>" not in page


def test_the_form_of_a_run_says_what_the_doctor_found(client: TestClient, upload: Upload) -> None:
    dataset_id = upload(MESSY)["id"]
    findings(client, dataset_id)
    form = client.get("/runs/new", params={"dataset": dataset_id, "look": "1"}).text
    found = re.search(r'<td>data doctor</td><td><a href="([^"]*)">([^<]*)</a>', form)
    assert found is not None and found[1] == f"/data/{dataset_id}#doctor"
    opened = [
        one for one in findings(client, dataset_id)["findings"] if one["severity"] in ("error", "warning")
    ]
    assert found[2] == f"1 must be mended, {len(opened) - 1} worth a look"
    for one in opened:
        client.post(f"/data/{dataset_id}/mark", data={"finding": one["id"]})
    assert "data doctor" not in client.get("/runs/new", params={"dataset": dataset_id, "look": "1"}).text
