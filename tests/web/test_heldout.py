"""The error browser: its page, its JSON and its download."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.tasks.heldout import Prediction
from app.web.services import Services
from tests.web.gallery import HOSTILE, finished
from tests.web.test_pages import Launch, Train, check, page, words

Upload = Callable[..., dict[str, Any]]


@pytest.fixture
def run_id(services: Services, upload: Upload) -> str:
    return finished(services, "classification", upload()["id"])


def told(client: TestClient, run_id: str, **query: Any) -> dict[str, Any]:
    response = client.get(f"/api/runs/{run_id}/heldout", params=query)
    assert response.status_code == 200, response.text
    value: dict[str, Any] = response.json()
    return value


def as_table(response: Any) -> list[list[str]]:
    assert response.status_code == 200, response.text
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_the_rows_come_as_json_worst_first(client: TestClient, run_id: str) -> None:
    first = told(client, run_id, limit=2)
    assert first["rows"] == first["total"] == 120 and len(first["items"]) == 2
    assert first["items"][0]["wrong"] is True
    assert set(first["items"][0]) == {
        "row_id",
        "text",
        "truth",
        "predicted",
        "wrong",
        "labels",
        "detail",
        "tokens",
    }
    mistakes = told(client, run_id, wrong=True, limit=1000)
    assert mistakes["total"] == mistakes["wrong"] == len(mistakes["items"]) < 120
    shares = [item["detail"]["probability"] for item in mistakes["items"]]
    assert shares == sorted(shares, reverse=True)
    assert {one["label"]: one["rows"] for one in mistakes["labels"]} == {
        HOSTILE: mistakes["total"],
        "positive": mistakes["total"],
    }
    one = told(client, run_id, label="positive", q="NUMBER 12 ", wrong=False)
    assert [item["row_id"] for item in one["items"]] == [12]


@pytest.mark.parametrize("query", [{"offset": -1}, {"limit": 0}, {"limit": 1001}, {"wrong": "perhaps"}])
def test_a_wrong_question_is_422(client: TestClient, run_id: str, query: dict[str, Any]) -> None:
    assert client.get(f"/api/runs/{run_id}/heldout", params=query).status_code == 422


def test_the_download_has_the_same_rows_and_no_formulas(
    client: TestClient, services: Services, upload: Upload
) -> None:
    rows = [
        Prediction(7, '=HYPERLINK("x")', "-b", "@c", True, 0.9, ("-b", "@c"), {"probability": 0.9}),
        Prediction(8, 'two\nlines, "quoted"', "été", "-1.5", False, -0.5, ("été",), {"probability": 0.5}),
    ]
    run_id = finished(services, "classification", upload()["id"], predictions=rows)
    response = client.get(f"/api/runs/{run_id}/heldout.csv")
    assert response.content.startswith(b"\xef\xbb\xbf")
    assert response.headers["content-disposition"] == f'attachment; filename="heldout-{run_id}.csv"'
    assert as_table(response) == [
        ["row_id", "text", "truth", "predicted", "wrong", "probability"],
        ["7", '\'=HYPERLINK("x")', "'-b", "'@c", "yes", "0.9"],
        ["8", 'two\nlines, "quoted"', "été", "-1.5", "no", "0.5"],
    ]
    filtered = as_table(client.get(f"/api/runs/{run_id}/heldout.csv", params={"wrong": "1", "q": "zzz"}))
    assert filtered == [["row_id", "text", "truth", "predicted", "wrong"]]


@pytest.mark.parametrize(
    ("task", "extra"),
    [
        ("pair", ["probability", "text_pair"]),
        ("text2text", ["chrf"]),
        ("adaptation", ["loss"]),
        ("tagging", []),
    ],
)
def test_the_download_says_nothing_twice(
    client: TestClient, services: Services, upload: Upload, task: str, extra: list[str]
) -> None:
    run_id = finished(services, task, upload()["id"])
    table = as_table(client.get(f"/api/runs/{run_id}/heldout.csv"))
    assert table[0][5:] == extra
    assert {len(row) for row in table} == {5 + len(extra)}


def test_the_page_begins_with_mistakes_and_pages_on_without_scripts(client: TestClient, run_id: str) -> None:
    mistakes = told(client, run_id, wrong=True)["total"]
    text = page(client, f"/runs/{run_id}")
    assert f"only mistakes ({mistakes})" in text and f"1–50 of {mistakes}" in text
    assert 'rel="next" href="/runs/' in text and 'rel="prev"' not in text
    second = page(client, f"/runs/{run_id}?wrong=1&offset=50")
    assert f"51–{mistakes} of {mistakes}" in second and 'rel="prev"' in second
    beyond = page(client, f"/runs/{run_id}?wrong=0&offset=5000")
    assert "1–50 of 120" in beyond


def test_the_page_keeps_the_filter_in_its_form_its_links_and_its_download(
    client: TestClient, run_id: str
) -> None:
    query = "wrong=0&label=positive&q=number"
    text = page(client, f"/runs/{run_id}?{query}")
    assert '<option value="0" selected>' in text and '<option value="positive" selected>' in text
    assert 'value="number"' in text
    assert f"/api/runs/{run_id}/heldout.csv?{query.replace('&', '&amp;')}" in text
    assert f"{query.replace('&', '&amp;')}&amp;offset=50#errors" in text
    part = client.get(f"/runs/{run_id}/parts?{query}").json()["parts"]["errors"]
    assert part in text
    assert client.get(f"/runs/{run_id}/errors?{query}").text == part


def test_a_label_that_no_row_has_any_more_stays_chosen(client: TestClient, run_id: str) -> None:
    text = client.get(f"/runs/{run_id}/errors", params={"label": HOSTILE, "q": "zzz"}).text
    check(text)
    assert 'alert(&#39;x&#39;)&lt;/script&gt;" selected>' in text and "No row passes this filter" in text


@pytest.mark.parametrize(
    "query", [{"wrong": "yes"}, {"offset": "-1"}, {"offset": "x"}, {"q": "a" * 1001}, {"label": "a" * 1001}]
)
def test_a_broken_address_is_explained(client: TestClient, run_id: str, query: dict[str, str]) -> None:
    response = client.get(f"/runs/{run_id}", params=query, headers={"accept": "text/html"})
    assert response.status_code == 422
    check(response.text)


def test_not_one_mistake(client: TestClient, services: Services, upload: Upload) -> None:
    right = [Prediction(1, "fine", "a", "a", False, -0.9, ("a",), {"probability": 0.9})]
    run_id = finished(services, "classification", upload()["id"], predictions=right)
    assert "Not one mistake on the 1 held-out rows" in words(page(client, f"/runs/{run_id}"))
    assert "fine" in client.get(f"/runs/{run_id}/errors?wrong=0").text


def test_without_a_file_there_is_a_reason(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    assert "appear here when the run ends" in words(page(client, f"/runs/{run_id}"))
    assert client.get(f"/api/runs/{run_id}/heldout").status_code == 409
    trainer(run_id).finish("cancelled")
    assert "Nothing was tested in this run" in words(page(client, f"/runs/{run_id}"))
    for path in ("heldout", "heldout.csv"):
        response = client.get(f"/api/runs/{run_id}/{path}")
        assert response.status_code == 409
        assert response.json()["error"]["message"] == "The run ended without a test on held-out rows."
    assert client.get("/api/runs/aaaaaaaaaaaa/heldout").status_code == 404


@pytest.mark.parametrize(
    ("task", "seen"),
    [
        ("classification", ["text label predicted p"]),
        ("pair", ["Another text", "text label predicted p"]),
        ("multilabel", ["text labels", "given, but wrong", "only mistakes"]),
        ("score", ["text true predicted difference", "only the worst"]),
        ("tagging", ["Angela Merkel PER", "Siemens ORG → LOC", "only mistakes"]),
        ("text2text", ["source reference output chrF", "only the worst"]),
        ("generation", ["prompt reference output loss"]),
        ("adaptation", ["text loss"]),
    ],
)
def test_rows_are_drawn_by_what_they_hold(
    client: TestClient, services: Services, upload: Upload, task: str, seen: list[str]
) -> None:
    part = client.get(f"/runs/{finished(services, task, upload()['id'])}/errors?wrong=0").text
    check(part)
    for one in seen:
        assert one in words(part)


def test_what_stretches_over_many_lines_is_folded(
    client: TestClient, services: Services, upload: Upload
) -> None:
    detail = {"prompt": "p", "reference": "r", "output": "line\n" * 40 + "the end", "loss": 2.0}
    short = {**detail, "output": "one\ntwo"}
    rows = [Prediction(row, "p", "r", "x", True, 9.0, (), one) for row, one in enumerate((detail, short))]
    run_id = finished(services, "generation", upload()["id"], predictions=rows)

    found = client.get(f"/runs/{run_id}/errors").text

    assert found.count('<details class="folded">') == 1
    assert "the end</span></summary></details>" in found and "one\ntwo</td>" in found.replace(
        "\n</td>", "</td>"
    )
