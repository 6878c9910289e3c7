import pytest

from app.core.errors import Invalid
from app.datasets import header
from app.datasets.column import ColumnProfile


def column(values: list[str]) -> ColumnProfile:
    found = ColumnProfile()
    found.add(values, range(2, len(values) + 2))
    found.finish()
    return found


def test_names_are_stripped_and_brought_into_one_line() -> None:
    assert header.names([" Text ", "\ufefflabel", "Ä b\tc\r\nd"], 1) == ["Text", "label", "Ä b c d"]
    assert header.names(["te\u202ext", "la\u200bbel\u00ad"], 1) == ["text", "label"]


def test_every_fault_is_told() -> None:
    with pytest.raises(Invalid) as caught:
        header.names(["a", "m" * 1001, "b", "n" * 1001], 1)
    assert [problem["where"] for problem in caught.value.problems] == ["column 2", "column 4"]
    assert "One more column has a fault like that" in caught.value.message


def test_a_header_without_any_name_is_none() -> None:
    with pytest.raises(Invalid, match="column 1 has no name: give it one"):
        header.names(["", "\u200b"], 1)


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["", "text", "label"], ["column_1", "text", "label"]),
        (["text", "label", "", ""], ["text", "label", "column_3", "column_4"]),
        (["text", "text", " text"], ["text", "text_2", "text_3"]),
        (["text", "text", "text_2"], ["text", "text_3", "text_2"]),
        (["", "column_1"], ["column_2", "column_1"]),
        (["a_9", "a_9"], ["a_9", "a_9_2"]),
        (["text", "__index_level_0__", "__", "__text"], ["text", "index_level_0__", "column_3", "text_2"]),
    ],
)
def test_each_column_has_a_name_of_its_own(cells: list[str], found: list[str]) -> None:
    assert header.names(cells, 1) == found


def test_who_was_renamed_is_told() -> None:
    cells = ["", "text", " Text", "text ", "__row"]
    told = header.renamed(cells, header.names(cells, 3), 3)
    assert [(one["where"], one["message"]) for one in told] == [
        ("line 3, column 1", "Has no name (pandas saves its index there); it is called 'column_1' here."),
        ("line 3, column 4", "Is called 'text' like column 2; it is called 'text_2' here."),
        (
            "line 3, column 5",
            "Is called '__row', and names that begin with two underscores are Headstart's own; it is called 'row' here.",
        ),
    ]


@pytest.mark.parametrize("cell", ["1", "-0.5", " 3 ", "1e5"])
def test_numbers_are_data(cell: str) -> None:
    with pytest.raises(Invalid, match="looks like data"):
        header.refuse_data(["text", cell], 1)


@pytest.mark.parametrize(
    "cell", ["label", "nan", "inf", "v1", "", "How much, on a scale of 1 to 5, " * 4 + "?"]
)
def test_names_are_not_data(cell: str) -> None:
    header.refuse_data(["text", cell], 1)


def test_a_name_among_the_frequent_values_is_data() -> None:
    with pytest.raises(Invalid, match="'pos' stands in the same column 50 times more"):
        header.refuse_value(["pos"], [column(["pos", "neg"] * 50)], 100, 1)


def test_a_name_among_rare_values_is_a_repeated_header() -> None:
    header.refuse_value(["label"], [column(["label"] + ["pos", "neg"] * 500)], 1001, 1)


def test_a_name_among_values_that_all_differ_is_chance() -> None:
    header.refuse_value(["word"], [column([f"w{i}" for i in range(9)] + ["word"])], 10, 1)


def test_columns_without_a_header_are_numbered_from_one() -> None:
    assert header.numbered(3) == ["column_1", "column_2", "column_3"]
