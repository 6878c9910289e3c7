"""The new-run form in a real browser: another task changes its fields in place and loses nothing that was typed."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.test_main_job import upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_another_task_swaps_its_fields_and_keeps_what_was_typed(
    context: BrowserContext, toy_file: Path
) -> None:
    page = context.new_page()
    upload(page, toy_file)
    page.get_by_role("button", name="New run").click()
    expect(page.locator("[data-will]")).to_contain_text("classification, 2 classes")
    page.locator("summary", has_text="4 · Settings").click()
    page.locator("input[name=epochs]").fill("7")
    page.locator("input[name=label_smoothing]").fill("0.25")

    # By the keyboard: the radio button that has the focus stays in the page.
    page.locator("input[name=task][value=classification]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[type=checkbox][name='label:text']")).to_be_attached()
    expect(page.locator("input[name=task][value=multilabel]")).to_be_focused()
    expect(page.locator("input[name=label_smoothing]")).to_have_count(0)
    expect(page.locator("input[name=epochs]")).to_have_value("7")
    expect(page.locator("[data-will]")).to_contain_text("multilabel, 2 labels")

    page.locator("input[name=task][value=tagging]").check()
    expect(page.locator("select[name=spans]")).to_be_visible()
    expect(page.locator("[data-problem=spans]")).to_contain_text("is required")
    page.locator("input[name=way][value='tokens+tags']").check()
    expect(page.locator("select[name=tags]")).to_be_visible()

    page.locator("input[name=task][value=classification]").check()
    expect(page.locator("input[name=label_smoothing]")).to_have_value("0.25")
    expect(page.locator("select[name=label]")).to_have_value("label")

    # The browser's way back finds the fields of the task that was chosen.
    page.locator("input[name=task][value=pair]").check()
    expect(page.locator("select[name=text_pair]")).to_be_visible()
    page.goto("/models")
    page.go_back()
    expect(page.locator("select[name=text_pair]")).to_be_visible()
    expect(page.locator("input[name=task][value=pair]")).to_be_checked()
