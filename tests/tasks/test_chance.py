"""The small tests of significance, beside those of scipy."""

import numpy as np
import pytest
from scipy import stats

from app.tasks.chance import larger_mean, more_than_elsewhere, sign_test, wilson


@pytest.mark.parametrize(("hits", "rows"), [(0, 20), (3, 20), (20, 20), (480, 1000)])
def test_wilson_is_that_of_scipy(hits: int, rows: int) -> None:
    theirs = stats.binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson(hits, rows) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(
    ("hits", "rows", "all_hits", "all_rows"), [(9, 20, 30, 200), (0, 5, 3, 9), (7, 7, 7, 9)]
)
def test_more_than_elsewhere_is_fishers_exact_test(
    hits: int, rows: int, all_hits: int, all_rows: int
) -> None:
    table = [[hits, rows - hits], [all_hits - hits, all_rows - rows - all_hits + hits]]
    theirs = stats.fisher_exact(table, alternative="greater")
    assert more_than_elsewhere(hits, rows, all_hits, all_rows) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 5), (1, 9), (40, 70), (700, 600)])
def test_the_sign_test_is_the_exact_binomial_one(first: int, second: int) -> None:
    theirs = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert sign_test(first, second) == pytest.approx(theirs)


def test_a_larger_mean_is_nearly_welchs_test() -> None:
    generator = np.random.default_rng(0)
    here, there = generator.normal(0.3, 2, 80), generator.normal(0, 1, 300)
    theirs = stats.ttest_ind(here, there, equal_var=False, alternative="greater").pvalue
    assert larger_mean(here.tolist(), there.tolist()) == pytest.approx(theirs, abs=0.01)
    assert larger_mean([1.0], there.tolist()) == 1.0
    assert larger_mean([1.0, 1.0], [1.0, 1.0]) == 1.0
