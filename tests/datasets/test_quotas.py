from collections import Counter

import pytest

from app.datasets.quotas import assign, quotas, strata

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (2, [1, 0, 1]),
        (3, [1, 1, 1]),
        (4, [2, 1, 1]),
        (10, [8, 1, 1]),
        (15, [12, 2, 1]),
        (16, [13, 2, 1]),
        (30, [24, 3, 3]),
        (1000, [800, 100, 100]),
    ],
)
def test_largest_remainder(count: int, expected: list[int]) -> None:
    assert quotas(count, [0.8, 0.1, 0.1]) == expected


@pytest.mark.parametrize(
    "fractions", [[0.8, 0.1, 0.1], [0.34, 0.33, 0.33], [0.98, 0.01, 0.01], [0.05, 0.05, 0.9]]
)
def test_quotas_add_up_and_leave_no_part_empty(fractions: list[float]) -> None:
    for count in range(3, 300):
        found = quotas(count, fractions)
        assert sum(found) == count and min(found) >= 1
        if count > 200:
            assert all(abs(n - count * f) < 1 for n, f in zip(found, fractions, strict=True))


def test_the_stratum_is_the_most_frequent_label_then_the_first_by_code_point() -> None:
    assert strata(["a", "a", "a", "b", "b"], ["x", "y", "y", "y", "X"]) == {"a": "y", "b": "X"}


def test_each_stratum_is_divided_by_itself() -> None:
    stratum_of = {
        f"{label}{i}": label for label, count in (("a", 50), ("b", 10), ("c", 2)) for i in range(count)
    }
    parts = assign(stratum_of, {}, 0, FRACTIONS)
    counts = {
        label: Counter(parts[key] for key in parts if stratum_of[key] == label) for label in ("a", "b", "c")
    }
    assert counts["a"] == {"train": 40, "validation": 5, "test": 5}
    assert counts["b"] == {"train": 8, "validation": 1, "test": 1}
    assert counts["c"] == {"train": 1, "test": 1}


def test_the_order_of_the_groups_does_not_matter_and_the_seed_does() -> None:
    keys = [f"k{i}" for i in range(100)]
    one = assign(dict.fromkeys(keys, ""), {}, 0, FRACTIONS)
    assert assign(dict.fromkeys(reversed(keys), ""), {}, 0, FRACTIONS) == one
    assert assign(dict.fromkeys(keys, ""), {}, 1, FRACTIONS) != one


def test_known_groups_stay_and_new_ones_fill_what_is_short() -> None:
    old = assign(dict.fromkeys([f"k{i}" for i in range(20)], ""), {}, 0, FRACTIONS)
    grown = dict.fromkeys([f"k{i}" for i in range(60)], "")
    new = assign(grown, old, 0, FRACTIONS)
    assert {key: new[key] for key in old} == old
    assert Counter(new.values()) == {"train": 48, "validation": 6, "test": 6}


def test_a_closed_part_takes_nothing_new_and_keeps_what_it_has() -> None:
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    stratum_of = {f"key {i}": "a" for i in range(100)}
    known = {f"key {i}": "test" if i < 10 else "train" for i in range(20)}
    part_of = assign(stratum_of, known, 0, fractions, "test")
    assert {key: part_of[key] for key in known} == known
    assert Counter(part_of.values()) == {"train": 80, "validation": 10, "test": 10}
