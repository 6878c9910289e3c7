"""The data doctor in a browser, by keyboard: rows open in place, are searched, a fix is one press, undo another."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.datasets.doctor.conftest import labelled

expect.set_options(timeout=120_000)  # ends a hang; a busy machine takes its time
pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_from_a_finding_to_a_new_version_and_back(context: BrowserContext, tmp_path: Path) -> None:
    rows = labelled(60)
    rows += [rows[1], rows[2], rows[3]]
    path = tmp_path / "messy.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    page = context.new_page()
    page.goto("/data")
    page.set_input_files("input[type=file]", path)
    card = page.locator("#finding-duplicates")
    expect(card).to_contain_text("3 of 63 rows")  # examined by itself, without a reload

    card.get_by_role("link", name="Show the rows").press("Enter")
    search = card.get_by_role("searchbox")
    expect(search).to_be_focused()
    expect(card.locator("tbody tr")).to_have_count(6)
    search.fill(rows[2][0][:20].upper())
    search.press("Enter")
    expect(card.locator("tbody tr")).to_have_count(2)
    expect(search).to_be_focused()
    assert "q=" in page.url and "finding=duplicates" in page.url

    card.get_by_role("button", name="Keep the first of each").press("Enter")
    part = page.locator("[data-doctor]")
    expect(part).to_contain_text("Nothing found in 60 rows")
    expect(part.locator("[aria-current=step]")).to_contain_text("drop 3 rows")
    part.get_by_role("button", name="Undo").first.press("Enter")
    expect(page.locator("#finding-duplicates")).to_contain_text("3 of 63 rows")
    page.close()


def test_train_validation_and_test_are_chosen_together(context: BrowserContext, tmp_path: Path) -> None:
    rows = labelled(90)
    files = []
    for name, some in {"train.csv": rows[:60], "dev.tsv": rows[60:75], "test.csv": rows[75:]}.items():
        mark = "\t" if name.endswith(".tsv") else ","
        path = tmp_path / name
        path.write_text(f"text{mark}label\n" + "".join(f"{text}{mark}{label}\n" for text, label in some))
        files.append(path)
    page = context.new_page()
    page.goto("/data")
    page.set_input_files("input[type=file]", files)
    expect(page.get_by_role("heading", level=1)).to_contain_text("train.csv + dev.tsv + test.csv")
    expect(page.locator("main")).to_contain_text("90 rows")
    expect(page.locator("[data-doctor]")).to_contain_text("parts by split")

    page.get_by_role("button", name="New run").click()
    expect(page.locator("select[name=split]")).to_have_value("files")
    page.close()
