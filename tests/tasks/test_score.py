"""Numbers in cells, figures by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from app.core.errors import Invalid
from app.core.spec import RunSpec, parse_spec
from app.tasks.examples import Examples, Reading
from app.tasks.score import Score, in_cell, typed

TASK = Score()


def spec_of(**fields: Any) -> RunSpec:
    columns = {"text": "text", "label": "stars"}
    return parse_spec({"dataset": "abcdefabcdef", "task": "score", "columns": columns, **fields})


def read(*cells: str) -> Reading:
    table = {"text": ["x"] * len(cells), "stars": list(cells)}
    return TASK.read(table.__getitem__, spec_of(), lambda row: f"line {row + 2}")


def problems(*cells: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(*cells)
    return [(problem["where"], problem["message"]) for problem in caught.value.problems]


def examples(numbers: list[float], parts: list[str]) -> Examples:
    return Examples(list(range(len(numbers))), {"text": ["x"] * len(numbers), "label": numbers}, parts)


def test_numbers_are_read_and_empty_cells_left_out() -> None:
    reading = read("3", " 4.5 ", "-1e-2", "", "+.5", "7.")
    assert reading.left_out == [None, None, None, "empty label", None, None]
    assert [number for number in reading.values["label"] if not math.isnan(number)] == [3, 4.5, -0.01, 0.5, 7]


@pytest.mark.parametrize(
    "cell", ["nan", "inf", "-Infinity", "good", "3 stars", "1_000", "0x10", "1.2.3", "４"]
)
def test_what_is_no_finite_number_is_named_with_its_line(cell: str) -> None:
    ((where, message),) = problems("1", cell)
    assert where == "line 3"
    assert (
        message == f"{cell!r} in column 'stars' is no finite number; write one such as 3.5, or remove the row"
    )


def test_a_number_beyond_the_weights_range_is_named() -> None:
    assert problems("1", "1e300") == [
        ("line 3", "'1e300' in column 'stars' is too large; at most 1e30 is possible")
    ]


def test_a_decimal_comma_among_points_is_shown_as_it_should_be() -> None:
    ((where, message),) = problems("2.5", "3,5")
    assert (where, message) == (
        "line 3",
        "'3,5' in column 'stars' is no number here; with a decimal point it is 3.5",
    )


def test_a_column_of_decimal_commas_is_read() -> None:
    assert read("3,5", "4", "-0,25", "").values["label"][:3] == [3.5, 4, -0.25]


def test_commas_that_may_part_thousands_are_not() -> None:
    assert len(problems("1,000", "2,500", "12")) == 2


def test_many_faults_are_counted() -> None:
    found = problems(*["x"] * 500)
    assert len(found) == 21 and found[-1][1] == "and 480 more rows like these"


def test_the_same_number_in_all_training_rows_can_teach_nothing() -> None:
    parts = ["train", "train", "test"]
    (problem,) = TASK.check(examples([3.0, 3.0, 5.0], parts), spec_of())
    assert problem["where"] == "columns.label"
    assert "every training row has the number 3 in column 'stars'" in problem["message"]
    assert TASK.check(examples([3.0, 4.0, 5.0], parts), spec_of()) == []


def test_one_training_row_is_too_few() -> None:
    (problem,) = TASK.check(examples([1.0, 2.0, 3.0], ["train", "validation", "test"]), spec_of())
    assert problem["where"] == "split"
    assert "only one row is left to learn from" in problem["message"]


def test_metrics_by_hand() -> None:
    found = TASK.metrics(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 6.0]))
    assert found["mae"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(math.sqrt((0 + 1 + 1 + 4) / 4))
    # Centred: (-1.5, -0.5, 0.5, 1.5) and (-2, 0, -1, 3): 7 / sqrt(5 · 14). Ranks 1 3 2 4.
    assert found["pearson"] == pytest.approx(7 / math.sqrt(70))
    assert found["spearman"] == pytest.approx(0.8)
    assert set(found) == {one.name for one in TASK.judged_by}


def test_spearman_with_ties_is_scipys() -> None:
    generator = np.random.default_rng(0)
    truth, guess = generator.integers(0, 5, 100).astype(float), generator.integers(0, 5, 100).astype(float)
    assert TASK.metrics(truth, guess)["spearman"] == pytest.approx(spearmanr(truth, guess).statistic)


@pytest.mark.parametrize("constant", [0.0, 3.3, 1e12])
def test_what_is_constant_has_no_correlation(constant: float) -> None:
    truth = np.array([1.0, 2.0, 4.0])
    assert set(TASK.metrics(truth, np.full(3, constant))) == {"rmse", "mae"}
    assert set(TASK.metrics(np.full(3, constant), truth)) == {"rmse", "mae"}
    assert set(TASK.metrics(np.array([1.0]), np.array([2.0]))) == {"rmse", "mae"}


def test_no_numbers_mean_that_training_diverged() -> None:
    with pytest.raises(Invalid, match="training diverged"):
        TASK.metrics(np.array([1.0, 2.0]), np.array([1.0, np.nan]))


@pytest.mark.parametrize("rows", [1, 3, 2000, 5001])
def test_the_scatter_plot_has_at_most_2000_points_from_the_first_row_to_the_last(rows: int) -> None:
    truth = np.arange(rows) / 3
    found = TASK.results(truth, truth + 1)
    points = found["scatter"]["truth"]
    assert found["rows"] == rows
    assert len(points) == len(found["scatter"]["predicted"]) == min(rows, 2000)
    assert points[0] == 0 and points[-1] == pytest.approx(truth[-1], rel=1e-5)
    json.dumps(found, allow_nan=False)


def test_the_best_is_the_least_error() -> None:
    assert (TASK.primary, TASK.primary_is_lower) == ("rmse", True)


def test_an_answer_as_cells() -> None:
    assert TASK.output_cells({"value": 3.25}) == {"predicted": 3.25}


def test_a_number_goes_into_a_cell_as_its_column_is_written() -> None:
    assert [in_cell(one, False) for one in (3.0, -0.25, 1e-7)] == ["3", "-0.25", "1e-07"]
    assert [in_cell(one, True) for one in (3.0, -0.25)] == ["3,0", "-0,25"]
    assert typed(" 3.5 ", "score", commas=False) == "3.5"
    assert {typed(one, "score", commas=True) for one in ("3.5", "3,5")} == {"3,5"}
    for wrong, said in (
        ("3,5", "with a decimal point it is 3.5"),
        ("good", "no finite number"),
        ("1e99", "too large"),
    ):
        with pytest.raises(Invalid, match=said):
            typed(wrong, "score", commas=False)
