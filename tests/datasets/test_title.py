"""Titles above a table are left out, and only where that is clear."""

import pytest

from .conftest import Bench, warnings

ROWS = "good film,1\nbad film,0\nfine film,1\n"


@pytest.mark.parametrize(
    "above",
    [
        "Reviews 2024\n",
        "Reviews 2024\n\n",
        "Reviews\nof May\n",
        "# exported by hand\n",
        "Reviews,\n\n",
        '"Reviews, all"\n',
    ],
)
def test_titles_above_a_known_header(bench: Bench, above: str) -> None:
    view = bench.read(f"{above}text,stars\n{ROWS}")
    assert (view["columns"], view["rows"]) == (["text", "stars"], 3)
    assert "looks like a title above the table" in warnings(view)[0]
    assert bench.items(view)[0]["line"] == above.count("\n") + 2


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_titles_above_columns_of_any_name(bench: Bench, delimiter: str) -> None:
    view = bench.read("Umfrage im Mai\nAntwort,Note\n".replace(",", delimiter) + ROWS.replace(",", delimiter))
    assert (view["columns"], view["rows"]) == (["Antwort", "Note"], 3)


def test_the_user_may_say_that_line_1_is_the_header(bench: Bench) -> None:
    view = bench.read(f"Reviews 2024\ntext,stars\n{ROWS}", header=True)
    assert (view["columns"], view["rows"]) == (["Reviews 2024"], 4)


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("text\nhello, world\ngood, bye\nwell, well\n", ["text"], 3),
        ("words\nhello, world\ngood, bye\nwell, well\n", ["words"], 3),
        ("text,label\n" + ROWS, ["text", "label"], 3),
        ("text;label\na;b\n", ["text", "label"], 1),
    ],
)
def test_a_header_is_no_title(bench: Bench, content: str, columns: list[str], rows: int) -> None:
    view = bench.read(content)
    assert (view["columns"], view["rows"]) == (columns, rows)
    assert not any("title" in line for line in warnings(view))
