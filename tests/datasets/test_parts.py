"""Which part a file is, by its name."""

import pytest

from app.datasets.parts import part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train.csv", "train"),
        ("my-reviews_TRAINING.csv", "train"),
        ("dev.tsv", "validation"),
        ("valid-00000-of-00001.parquet", "validation"),
        ("data/test.jsonl", "test"),
        ("test/part-1.csv", "test"),
        ("a\\val\\x.csv", "validation"),
        ("train_and_test.csv", None),
        ("contest.csv", None),
        ("reviews.csv", None),
    ],
)
def test_part_of(name: str, part: str | None) -> None:
    assert part_of(name) == part
