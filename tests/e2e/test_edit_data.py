"""Editing in a browser, by keyboard: a label in the table of all rows, its undo, a version; and texts labelled one at a time."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.serving import Served
from tests.waiting import until

expect.set_options(timeout=120_000)  # ends a hang; a busy machine takes its time
MANY = 1_000_000
pytestmark = [pytest.mark.slow, pytest.mark.browser]


def upload(served: Served, rows: int, name: str) -> str:
    labels = ("complaint", "praise", "")
    lines = [f"text number {number} of many,{labels[number % 3]}" for number in range(rows)]
    content = "\n".join(["text,label", *lines]).encode()
    dataset = served.call("PUT", f"/api/datasets?name={name}", content)
    assert dataset["state"] == "ready"
    return str(dataset["id"])


def test_a_label_by_a_keystroke_its_undo_and_a_version(context: BrowserContext, served: Served) -> None:
    dataset = upload(served, 5000, "table.csv")
    page = context.new_page()
    page.goto(f"/data/{dataset}")
    page.get_by_role("button", name="All rows").click()
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", "5001")
    assert page.get_by_role("row").count() < 60  # of 5,000: what is seen
    label = page.locator("#cell-1-0")
    expect(label).to_have_text("praise")

    grid.focus()
    for key in ("ArrowDown", "1"):
        page.keyboard.press(key)
    expect(label).to_have_text("complaint")
    bar = page.locator("[data-edits]")
    expect(bar).to_contain_text("1 change not saved yet")
    page.reload()
    expect(label).to_have_text("complaint")
    expect(label).to_have_class(re.compile("edited"))
    expect(bar).to_contain_text("1 in label")

    grid.focus()
    page.keyboard.press("Control+z")
    expect(label).to_have_text("praise")
    page.keyboard.press("Control+Shift+z")
    expect(label).to_have_text("complaint")
    for key in ("Control+End", "ArrowRight", "F2"):  # the text of the last row
        page.keyboard.press(key)
    field = page.get_by_role("textbox", name="text of row 5,000")
    expect(field).to_have_value("text number 4999 of many")
    field.fill("left as it was")
    field.press("Escape")
    expect(page.locator("#cell-4999-1")).to_have_text("text number 4999 of many")
    expect(grid).to_be_focused()
    page.keyboard.press("Enter")
    field.fill("an edited text")
    field.press("Enter")
    expect(page.locator("#cell-4999-1")).to_have_text("an edited text")
    page.keyboard.press("Delete")
    expect(bar).to_contain_text("1 to be dropped")
    page.keyboard.press("Control+z")
    expect(bar).to_contain_text("2 changes not saved yet")

    bar.get_by_role("button", name="Save as version 2").click()
    expect(bar).to_be_hidden()
    expect(page.locator("[data-version]")).to_have_text("version 2")
    history = served.call("GET", f"/api/datasets/{dataset}/versions")
    assert history[-1]["step"]["title"] == "edit 2 rows (1 in label, 1 in text)"
    (row,) = served.call("GET", f"/api/datasets/{dataset}/rows?offset=1&limit=1")["items"]
    assert row["cells"]["label"] == "complaint"

    page.get_by_role("searchbox").fill("NUMBER 3000")
    expect(grid).to_have_attribute("aria-rowcount", "2")
    expect(page.locator("#cell-0-1")).to_have_text("text number 3000 of many")
    page.get_by_label("go to row number").fill("4,321")
    page.get_by_label("go to row number").press("Enter")
    expect(grid).to_have_attribute("aria-activedescendant", "cell-4320-1")
    expect(page.locator("#cell-4320-1")).to_have_text("text number 4320 of many")
    page.close()


def test_a_million_rows_are_scrolled_through_with_few_of_them_there(
    context: BrowserContext, served: Served
) -> None:
    dataset = upload(served, 9, "million.csv")
    page = context.new_page()
    asked: list[int] = []

    def window(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        offset, limit = (int(query[name][0]) for name in ("offset", "limit"))
        asked.append(offset)
        items = [
            {
                "row_id": row, "line": row + 2, "position": row, "dropped": False, "added": False, "saved": {}, "cut": [],
                "cells": {"text": f"text {row}", "label": "a"},
            }
            for row in range(offset, min(offset + limit, MANY))
        ]  # fmt: skip
        told = {"version": 1, "offset": offset, "rows": MANY, "total": MANY, "columns": ["text", "label"]}
        route.fulfill(json={**told, "items": items})

    page.route(re.compile(rf"/api/datasets/{dataset}/rows\?"), window)
    page.goto(f"/data/{dataset}/rows")
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
    expect(page.locator("#cell-0-1")).to_have_text("text 0")
    grid.focus()
    page.keyboard.press("Control+End")
    expect(page.locator(f"#cell-{MANY - 1}-1")).to_have_text(f"text {MANY - 1}")
    assert grid.evaluate("view => view.scrollHeight - view.clientHeight - view.scrollTop") < 2

    def first() -> int:
        return int(page.locator(".table-row:not(.head):visible").first.get_attribute("data-place") or -1)

    grid.evaluate("view => { view.scrollTop = (view.scrollHeight - view.clientHeight) / 2 }")
    expect(page.locator("#row-500000")).to_be_visible()
    middle = first()
    assert abs(middle - MANY // 2) < 30  # the bar is honest
    grid.hover()
    page.mouse.wheel(0, 340)
    expect(page.locator(f"#row-{middle + 10}")).to_be_visible()
    until(
        lambda: first() - middle in (10, 11), "ten rows, though a pixel of the bar is nearly three of theirs"
    )
    assert page.get_by_role("row").count() < 60 and len(asked) < 20
    page.close()


def test_a_long_text_is_edited_as_a_whole(context: BrowserContext, served: Served) -> None:
    long = "word " * 3000
    content = "text,label\n" + "".join(f"{number} {long}end,a\n" for number in range(3))
    dataset = served.call("PUT", "/api/datasets?name=long.csv", content.encode())["id"]
    page = context.new_page()
    page.goto(f"/data/{dataset}/rows")
    page.get_by_role("grid").focus()
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    field = page.get_by_role("textbox", name="text of row 1")
    expect(field).to_have_value(f"0 {long}end")
    field.press("End")
    field.press("Control+End")
    field.press_sequentially("ing")
    field.press("Enter")
    expect(page.locator("[data-edits]")).to_contain_text("1 in text")
    (row,) = served.call("GET", f"/api/datasets/{dataset}/rows?limit=1&edits=true")["items"]
    assert row["cells"]["text"] == f"0 {long}ending"
    page.close()


def test_what_another_tab_changed_is_not_written_over(browser: Browser, served: Served) -> None:
    dataset = upload(served, 9, "tabs.csv")
    page = browser.new_page()  # without the fixture's ear: Chromium notes the refusal on the console
    page.goto(f"{served.url}/data/{dataset}/rows")
    label = page.locator("#cell-0-0")
    expect(label).to_have_text("complaint")
    served.call(
        "POST",
        f"/api/datasets/{dataset}/edits",
        {"cells": [{"row": 0, "column": "label", "value": "other", "before": "complaint"}]},
    )
    page.get_by_role("grid").focus()
    page.keyboard.press("2")
    expect(label).to_have_text("other")
    expect(page.locator("[data-edits]")).to_contain_text("has 'other' in label by now, not 'complaint'")
    page.close()


def test_three_texts_are_labelled_and_two_pasted(context: BrowserContext, served: Served) -> None:
    dataset = upload(served, 9, "unlabelled.csv")  # three of them without a label
    page = context.new_page()
    page.goto(f"/data/{dataset}/label")
    view = page.locator("[data-label]")
    expect(view).to_contain_text("text 1 of 3")
    expect(view).to_contain_text("text number 2 of many")
    page.keyboard.press("2")
    expect(view).to_contain_text("text 2 of 3")
    page.keyboard.press("s")
    expect(view).to_contain_text("text 3 of 3")
    page.get_by_role("button", name="1 complaint").click()
    expect(view).to_contain_text("Some texts still have no label")
    page.get_by_role("button", name="Look at these again").click()
    expect(view).to_contain_text("text number 5 of many")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="2 praise")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    expect(view).to_contain_text("text number 5 of many")
    page.get_by_label("other or new label").fill("question")
    page.get_by_label("other or new label").press("Enter")
    expect(page.locator("[data-edits]")).to_contain_text("3 in label")

    page.get_by_text("Paste more texts to label").click()
    page.get_by_label("one text a line").fill("a first pasted text\n\nand a second\n")
    page.get_by_role("button", name="Add them").click()
    expect(view).to_contain_text("text 1 of 2")
    page.keyboard.press("3")
    expect(view).to_contain_text("and a second")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.locator("[data-version]")).to_have_text("version 2")
    expect(view).to_contain_text("and a second")  # the one that has no label yet
    items = served.call("GET", f"/api/datasets/{dataset}/rows")["items"]
    labels = {item["cells"]["text"]: item["cells"]["label"] for item in items}
    assert labels["text number 2 of many"] == "praise" and labels["text number 5 of many"] == "question"
    assert labels["text number 8 of many"] == "complaint"
    assert labels["a first pasted text"] == "question" and labels["and a second"] == ""
    page.close()


def test_entities_are_marked_by_keys_and_by_drawing(context: BrowserContext, served: Served) -> None:
    rows = [
        {
            "tokens": ["Ann", "Lee", "met", "Bob", "in", "Rome"],
            "tags": ["B-PER", "I-PER", "O", "O", "O", "B-LOC"],
        },
        {"tokens": ["nobody", "came"], "tags": []},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    dataset = str(served.call("PUT", "/api/datasets?name=entities.jsonl", content)["id"])
    page = context.new_page()
    page.goto(f"/data/{dataset}")
    page.get_by_role("link", name="Mark entities").click()
    words = page.locator(".words")
    expect(words.locator("mark")).to_have_text(["Ann LeePER", "RomeLOC"])
    for key in ("ArrowRight", "ArrowRight", "1"):  # behind the whole entity: met, then Bob
        page.keyboard.press(key)
    expect(words.locator("mark")).to_have_text(["Ann LeePER", "BobPER", "RomeLOC"])
    page.keyboard.press("0")
    expect(words.locator("mark")).to_have_count(2)
    page.keyboard.press("Control+z")
    expect(words.locator("mark")).to_have_count(3)
    start, end = (words.locator(".word").nth(place).bounding_box() for place in (4, 5))
    assert start is not None and end is not None
    page.mouse.move(start["x"] + 3, start["y"] + 3)
    page.mouse.down()
    page.mouse.move(end["x"] + 3, end["y"] + 3, steps=3)
    page.mouse.up()
    page.get_by_label("other or new type").fill("WHERE")
    page.get_by_label("other or new type").press("Enter")
    expect(words.locator("mark")).to_have_text(["Ann LeePER", "BobPER", "in RomeWHERE"])
    page.keyboard.press("Enter")
    expect(page.locator("[data-place]")).to_have_text("text 2 of 2")
    expect(words).to_contain_text("nobody came")
    page.keyboard.press("Enter")  # without an entity
    expect(page.locator("[data-entities]")).to_contain_text("That was the last one")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.locator("[data-version]")).to_have_text("version 2")
    items = served.call("GET", f"/api/datasets/{dataset}/rows")["items"]
    tags = [json.loads(item["cells"]["tags"] or "null") for item in items]
    assert tags[0] == ["B-PER", "I-PER", "O", "B-PER", "B-WHERE", "I-WHERE"]
    page.close()


def test_a_span_that_is_there_stays_as_it_is_written(context: BrowserContext, served: Served) -> None:
    rows = [{"text": "Ann met Bob", "spans": [{"start": 0, "end": 3, "label": "PER", "sure": 0.5}]}] * 2
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    dataset = str(served.call("PUT", "/api/datasets?name=spans.jsonl", content)["id"])
    page = context.new_page()
    page.goto(f"/data/{dataset}/entities")
    expect(page.locator(".words mark")).to_have_text(["AnnPER"])
    for key in ("ArrowRight", "ArrowRight", "1"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.locator("[data-version]")).to_have_text("version 2")
    row = served.call("GET", f"/api/datasets/{dataset}/rows")["items"][0]
    first, second = json.loads(row["cells"]["spans"])
    assert first == rows[0]["spans"][0] and second == {"start": 8, "end": 11, "label": "PER"}
    page.close()
