"""The main job in a real browser: upload ▸ start ▸ the curve grows ▸ results ▸ try it ▸ download ▸ load elsewhere."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.serving import Served
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# How many points the browser has drawn of a curve.
DRAWN = """(series) => {
  for (const document of globalThis.Bokeh?.documents ?? []) {
    const source = document.get_model_by_name(series)
    if (source) return source.get_length() ?? 0
  }
  return 0
}"""


def drawn(page: Page, series: str) -> int:
    return int(page.evaluate(DRAWN, series))


def wait_for_drawn(page: Page, more_than: int, series: str = "train/loss") -> int:
    """Waits until the browser has drawn more than so many points (wait_for_function would need unsafe-eval)."""
    until(lambda: drawn(page, series) > more_than, f"more than {more_than} points of {series}")
    return drawn(page, series)


def upload(page: Page, file: Path) -> None:
    page.goto("/data")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("heading", name=file.name)).to_be_visible()


def start_tiny(page: Page, epochs: int) -> str:
    """From the data set's page to a started run of the tiny model; returns the run's id."""
    page.get_by_role("button", name="New run").click()
    page.locator("input[name=model][value='local:tiny']").check()
    page.locator("summary", has_text="Settings").click()
    page.locator("input[name=epochs]").fill(str(epochs))
    page.locator("input[name=batch_size]").fill("16")
    page.locator("input[name=learning_rate]").fill("1e-3")
    page.locator("input[name=max_length]").fill("32")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/*")
    return page.url.split("/runs/")[1].split("#")[0].split("?")[0]


def test_from_a_csv_to_a_checkpoint_that_predicts_the_same(
    context: BrowserContext, served: Served, toy_file: Path, tmp_path: Path
) -> None:
    page = context.new_page()
    upload(page, toy_file)
    expect(page.locator("table.preview tbody tr").first).to_be_visible()
    expect(page.locator("select[name=text]")).to_have_value("text")
    expect(page.locator("select[name=label]")).to_have_value("label")

    run_id = start_tiny(page, epochs=80)
    seen = wait_for_drawn(page, 0)
    wait_for_drawn(page, seen)
    wait_for_drawn(page, 1, "validation/loss")

    # Everything that follows appears without a reload.
    expect(page.locator("[data-state-word]")).to_have_text("succeeded", timeout=300_000)
    expect(page.locator("#results .confusion")).to_be_visible()
    expect(page.locator("#results")).to_contain_text("TF-IDF")
    assert drawn(page, "train/loss") == 80 * 10

    page.get_by_role("tab", name="Try it").click()
    text = "the story was superb"
    page.locator("textarea[name=text]").fill(text)
    page.get_by_role("button", name="Predict", exact=True).click()
    expect(page.locator("[data-tried] .name").first).to_be_visible()
    shown = dict(
        zip(
            page.locator("[data-tried] .name").all_inner_texts(),
            map(float, page.locator("[data-tried] .num").all_inner_texts()),
            strict=True,
        )
    )
    (tried,) = served.call("POST", f"/api/runs/{run_id}/predict", {"inputs": [text]})["outputs"]
    assert shown == pytest.approx(tried["probabilities"], abs=1e-3)

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download", exact=True).click()
    archive = tmp_path / "checkpoint.zip"
    downloading.value.save_as(archive)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "folder")
    assert elsewhere(tmp_path / "folder", text) == pytest.approx(tried["probabilities"], abs=1e-6)


def elsewhere(folder: Path, text: str) -> dict[str, float]:
    """What plain transformers says, in a process that knows nothing of Headstart."""
    script = (
        "import json, sys\nfrom transformers import pipeline\n"
        "classify = pipeline('text-classification', sys.argv[1], truncation=True, max_length=32)\n"
        "print(json.dumps(classify([sys.argv[2]], top_k=None)[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), text],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder.parent,
    )
    return {one["label"]: one["score"] for one in json.loads(done.stdout)}


def test_the_shortest_way_is_three_clicks(context: BrowserContext, served: Served, toy_file: Path) -> None:
    page = context.new_page()
    upload(page, toy_file)  # 1: choose the file
    page.get_by_role("button", name="New run").click()  # 2
    page.get_by_role("button", name="Start").click()  # 3
    page.wait_for_url("**/runs/*")
    wait_for_drawn(page, 0)
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Stop the run").click()
    expect(page.locator("[data-state-word]")).to_have_text("cancelled", timeout=300_000)
    assert drawn(page, "train/loss") > 0


def test_a_reload_and_a_second_tab_show_the_same_and_closing_changes_nothing(
    context: BrowserContext, served: Served, toy_file: Path
) -> None:
    first = context.new_page()
    upload(first, toy_file)
    run_id = start_tiny(first, epochs=100)
    wait_for_drawn(first, 5)
    first.reload()
    second = context.new_page()
    second.goto(f"/runs/{run_id}")
    for page in (first, second):
        wait_for_drawn(page, 5)
    first.close()
    expect(second.locator("[data-state-word]")).to_have_text("succeeded", timeout=300_000)
    points = served.call("GET", f"/api/runs/{run_id}/points?series=train/loss")["train/loss"]
    assert points["step"] == list(range(1, 1001))
    wait_for_drawn(second, 999)


def test_eight_tabs_share_one_event_stream_and_all_answer(
    context: BrowserContext, served: Served, toy_file: Path
) -> None:
    open_streams: set[object] = set()
    most = [0]

    def opened(request: object) -> None:
        if request.resource_type == "eventsource":  # type: ignore[attr-defined]
            open_streams.add(request)

    def ended(request: object) -> None:
        open_streams.discard(request)

    context.on("request", opened)
    context.on("requestfinished", ended)
    context.on("requestfailed", ended)
    first = context.new_page()
    upload(first, toy_file)
    run_id = start_tiny(first, epochs=400)
    pages = [first, *(context.new_page() for _ in range(7))]
    for page in pages[1:]:
        page.goto(f"/runs/{run_id}")
        most[0] = max(most[0], len(open_streams))
    for page in pages:
        seen = wait_for_drawn(page, 0)
        wait_for_drawn(page, seen)
        assert page.evaluate("async () => (await fetch('/api/models')).status") == 200
    assert len(open_streams) == 1
    assert most[0] <= 2  # a leader may change its stream while a tab comes
    served.call("POST", f"/api/runs/{run_id}/cancel")
    for page in pages:
        expect(page.locator("[data-state-word]")).to_have_text("cancelled", timeout=300_000)
