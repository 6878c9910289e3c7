import pytest

from app.datasets.column import shape_of
from app.datasets.profile import Profile

from .conftest import profile_of


def test_counts_lengths_and_empty_cells() -> None:
    profile = profile_of(label=["b", " b ", "", "  ", "a", "ccc"])
    assert profile.as_dict()["columns"]["label"] == {
        "empty": 2,
        "distinct": 3,
        "distinct_capped": False,
        "mean_chars": 1.7,
        "max_chars": 3,
        "numeric": False,
        "numbers": 0.0,
        "shape": None,
        "counts": {"b": 2, "a": 1, "ccc": 1},
    }
    assert profile.columns[0].empty_lines == [4, 5]


def test_only_the_first_empty_lines_are_kept() -> None:
    profile = Profile(["a"])
    for _ in range(3):
        profile.add([[""] * 15], range(15))
    assert len(profile.columns[0].empty_lines) == 20 and profile.columns[0].empty == 45


def test_up_to_1000_values_are_counted_and_the_top_100_shown() -> None:
    values = [str(i) for i in range(1000)] + ["7", ""]
    found = profile_of(a=values).as_dict()["columns"]["a"]
    assert (found["distinct"], len(found["counts"])) == (1000, 100)
    assert next(iter(found["counts"].items())) == ("7", 2)


def test_more_values_have_no_counts() -> None:
    found = profile_of(a=[str(i) for i in range(1001)] + [""]).as_dict()["columns"]["a"]
    assert (found["distinct"], found["counts"], found["distinct_capped"]) == (1001, None, False)


def test_distinct_values_are_capped() -> None:
    profile = profile_of(a=[str(i) for i in range(1500)])
    column = profile.columns[0]
    column.max_distinct = 2000
    for block in range(1, 4):
        column.add([f"{block}-{i}" for i in range(1500)], range(1500))
    found = column.as_dict()
    assert (found["distinct"], found["distinct_capped"]) == (2000, True)
    assert len(column.hashes) < 4500  # it stopped counting


def test_long_values_are_not_kept() -> None:
    profile = profile_of(a=["x" * 1001, "y"])
    assert profile.columns[0].counts is None and profile.columns[0].distinct == 2


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1,5", "", "-0,25", "3"], True),
        (["1,000", "2,500"], False),
        (["1,5", "a"], False),
        (["1", "2.5", "-3e4", " 7 ", ""], True),
        (["1", "two"], False),
        (["1", "nan"], False),
        (["1", "inf"], False),
        (["1", "1e999"], False),
        (["1", "1_000"], False),
        (["", " "], False),
    ],
)
def test_numeric_means_that_each_filled_cell_is_a_finite_number(cells: list[str], numeric: bool) -> None:
    assert profile_of(a=cells).as_dict()["columns"]["a"]["numeric"] is numeric


def test_a_late_word_makes_a_column_of_numbers_one_of_texts() -> None:
    profile = Profile(["a"])
    profile.add([["1"] * 100], range(100))
    profile.add([["2", "three"]], range(2))
    profile.finish()
    assert profile.columns[0].numeric is False


@pytest.mark.parametrize(
    ("cells", "shape"),
    [
        (['["a", "b"]', "", ' ["c"] '], "values"),
        (["[0, 3]", "[]"], "values"),
        (['[{"start": 0, "end": 1, "label": "X"}]', "[]"], "spans"),
        (["[]", "[]"], "empty"),
        ([], None),
        (["", " "], None),
        (["[not json]"], None),
        (['["a"]', "text"], None),
        (['["a"]', '[{"start": 0, "end": 1}]'], None),
        (["[[1, 2]]"], None),
        (["[null]"], None),
        (["[" * 100_000], None),
        (['{"a": 1}'], None),
    ],
)
def test_lists_are_recognised_by_all_of_the_first_cells(cells: list[str], shape: str | None) -> None:
    assert shape_of(cells) == shape


def test_the_share_of_numbers_is_told_where_most_are() -> None:
    profile = Profile(["a", "text"])
    for _ in range(3):
        profile.add([["1,5", "2.25", "", "7", "four", "3"] * 5, ["a text"] * 29 + ["1"]], range(30))
    profile.finish()
    assert [column.as_dict()["numbers"] for column in profile.columns] == [0.8, 0.0]
