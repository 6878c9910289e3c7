"""What a finished run says of its data, in a browser by keyboard: look for wrong labels, correct one, train again."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.serving import Served, toy_csv
from tests.waiting import until

expect.set_options(timeout=120_000)  # ends a hang; a busy machine takes its time
pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_from_a_wrong_label_to_a_run_on_corrected_data(
    context: BrowserContext, served: Served, tmp_path: Path
) -> None:
    header, *lines = toy_csv(120).splitlines()
    text, label = lines[40].rsplit(",", 1)
    lines[40] = f"{text},{'negative' if label == 'positive' else 'positive'}"
    content = "\n".join([header, *lines]).encode()
    dataset = served.call("PUT", "/api/datasets?name=toy.csv", content)["id"]
    until(lambda: served.call("GET", f"/api/datasets/{dataset}")["state"] == "ready", "the data")
    spec = {
        "dataset": dataset,
        "task": "classification",
        "columns": {"text": "text", "label": "label"},
        "model": "local:tiny",
        "epochs": 1,
        "max_length": 32,
    }
    run = served.call("POST", "/api/runs", spec)["id"]
    until(lambda: served.call("GET", f"/api/runs/{run}")["state"] == "succeeded", "the run")
    page = context.new_page()
    page.goto(f"/runs/{run}#data")

    page.get_by_role("button", name="Look for wrong labels").press("Enter")
    expect(page.locator("[data-searching]")).to_be_visible()
    rows = page.locator("[data-suspect]")
    expect(rows.first).to_be_visible()  # the tab follows the search by itself
    wrong = page.locator("#suspect-40")
    rows.first.focus()
    while wrong.evaluate("row => row !== document.activeElement"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("1")
    expect(wrong).to_contain_text(f"becomes {label}")
    wrong.focus()
    page.keyboard.press("0")
    expect(wrong).not_to_contain_text("becomes")
    page.keyboard.press("2")
    expect(wrong).to_contain_text("it is right")
    wrong.focus()
    page.keyboard.press("0")
    expect(wrong.get_by_role("button", name="It is right")).to_be_visible()
    page.keyboard.press("1")
    expect(wrong).to_contain_text(f"becomes {label}")

    page.get_by_role("button", name="Save 1 change and train again").press("Enter")
    page.wait_for_url(lambda address: run not in address)
    expect(page.locator("[data-part=head]")).to_contain_text("Repeats")
    second = page.url.rsplit("/", 1)[1]
    assert served.call("GET", f"/api/runs/{second}")["dataset_version"] == 2
    page.close()
