"""The figures, as Bokeh describes them to the browser."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.web.charts import COLOURS


def walk(value: Any) -> Any:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_series_has_a_named_source(client: TestClient, theme: str) -> None:
    figures = client.get("/charts.json", params={"theme": theme}).json()
    assert set(figures) == {"loss", "loss_log", "rate", "score"}
    sources = {
        chart: {
            node["attributes"]["name"]
            for node in walk(item)
            if node.get("name") == "ColumnDataSource" and "attributes" in node
        }
        for chart, item in figures.items()
    }
    assert sources["loss"] == sources["loss_log"] == {"train/loss", "validation/loss"}
    assert sources["rate"] == {"train/learning_rate"}
    assert {name for name in sources["score"] if name.startswith("validation/")} == {
        "validation/accuracy",
        "validation/macro_f1",
    }
    assert COLOURS[theme]["train"] in json.dumps(figures["loss"])


def test_the_figures_need_no_code_from_the_server(client: TestClient) -> None:
    text = client.get("/charts.json").text
    assert "CustomJS" not in text and "FuncTickFormatter" not in text


def test_an_unknown_theme_is_422(client: TestClient) -> None:
    assert client.get("/charts.json?theme=pink").status_code == 422


def test_an_unknown_task_is_404_with_a_sentence(client: TestClient) -> None:
    response = client.get("/charts.json?task=nope")
    assert response.status_code == 404
    assert "There is no task 'nope'" in response.json()["error"]["message"]


def test_ticks_have_as_many_digits_as_tell_them_apart(client: TestClient) -> None:
    for task in ("score", "adaptation"):
        score = client.get("/charts.json", params={"task": task}).json()["score"]
        formatters = [node for node in walk(score) if str(node.get("name", "")).endswith("TickFormatter")]
        assert formatters and all(one["name"] == "BasicTickFormatter" for one in formatters)
        assert all(one["attributes"].get("precision", "auto") == "auto" for one in formatters)


def test_bokeh_comes_from_its_wheel_and_stays_in_the_cache(client: TestClient) -> None:
    from app.web.assets import bokeh_url

    response = client.get(bokeh_url())
    assert response.status_code == 200 and len(response.content) > 500_000
    assert "immutable" in response.headers["cache-control"]
    assert client.get("/static/bokeh-0.0.1.min.js").status_code == 404


def test_the_colours_are_those_of_the_style_sheet(client: TestClient) -> None:
    style = client.get("/static/app.css").text
    for name in ("train", "valid"):
        light, dark = (COLOURS[theme][name] for theme in ("light", "dark"))
        assert f"--{name}: light-dark({light}, {dark})" in style


@pytest.mark.parametrize(
    "path", ["/static/../app/main.py", "/static/%2e%2e/app/main.py", "/static/nothing.js"]
)
def test_only_our_own_files_are_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_own_files_are_asked_for_again_each_time(client: TestClient) -> None:
    response = client.get("/static/js/run.js")
    assert response.headers["cache-control"] == "no-cache" and response.headers["etag"]
    again = client.get("/static/js/run.js", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
