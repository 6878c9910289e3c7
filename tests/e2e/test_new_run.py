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


def test_the_slider_moves_what_learns(context: BrowserContext, toy_file: Path) -> None:
    page = context.new_page()
    upload(page, toy_file)
    page.get_by_role("button", name="New run").click()
    learning = page.locator("[data-stack] li.learns")
    expect(learning).to_have_count(8)  # all of the starter: embeddings, six blocks, head
    page.locator("input[name=strategy][value=partial]").check()
    expect(learning).to_have_count(3)
    expect(page.locator("[data-will]")).to_contain_text("3.7 M of 22.7 M parameters")

    # By the keyboard; the slider that has the focus stays in the page.
    page.locator("input[name=layers]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("input[name=layers] + output")).to_have_text("3")
    expect(learning).to_have_count(4)
    expect(page.locator("[data-will]")).to_contain_text("5.5 M of 22.7 M parameters")
    expect(page.locator("input[name=layers]")).to_be_focused()

    page.locator("input[name=strategy][value=lora]").check()
    expect(page.locator("[data-stack] li.adapter")).to_have_count(6)
    page.locator("input[name=rank]").fill("0")
    expect(page.locator("[data-problem=rank]")).to_contain_text("greater than or equal to 1")
    page.locator("input[name=rank]").fill("4")
    expect(page.locator("[data-problem=rank]")).to_be_empty()

    page.locator("input[name=strategy][value=partial]").check()
    expect(page.locator("input[name=layers]")).to_have_value("3")
