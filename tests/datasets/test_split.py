from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Invalid
from app.core.files import Files
from app.core.spec import ColumnSplit, GroupSplit, RandomSplit, Split, TimeSplit
from app.datasets import split as split_module
from app.datasets.split import normalised, split

from .conftest import Bench

ID = "abcdefghijkl"


def table(
    texts: Sequence[str], labels: Sequence[str] | None = None, first: int = 0, **more: Sequence[str]
) -> Any:
    import pyarrow as pa

    columns: dict[str, Any] = {"__row_id": pa.array(range(first, first + len(texts)), pa.int64())}
    columns["text"] = list(texts)
    columns["label"] = list(labels) if labels is not None else ["x"] * len(texts)
    return pa.table({**columns, **more})


def joined(*tables: Any) -> Any:
    import pyarrow as pa

    return pa.concat_tables(tables)


def parts_of(files: Files, data: Any, how: Split | None = None, label: str | None = "label") -> list[str]:
    return split(files, ID, data, ["text"], label, how or RandomSplit())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


TEXTS = [f"text number {i}" for i in range(100)]


def test_normalised_ignores_case_width_and_white_space() -> None:
    assert normalised("  Größe\n\tＡＢＣ ﬁne ") == normalised("GRÖSSE abc FINE") == "grösse abc fine"


def test_random_is_stratified_by_label(files: Files) -> None:
    labels = ["pos"] * 80 + ["neg"] * 20
    parts = parts_of(files, table(TEXTS, labels))
    assert Counter(zip(parts, labels, strict=True)) == {
        ("train", "pos"): 64,
        ("validation", "pos"): 8,
        ("test", "pos"): 8,
        ("train", "neg"): 16,
        ("validation", "neg"): 2,
        ("test", "neg"): 2,
    }


def test_the_same_content_gives_the_same_parts_elsewhere(tmp_path: Path) -> None:
    one = parts_of(Files(tmp_path / "a"), table(TEXTS))
    backwards = parts_of(Files(tmp_path / "b"), table(TEXTS[::-1]))
    assert backwards[::-1] == one
    assert parts_of(Files(tmp_path / "c"), table(TEXTS), RandomSplit(seed=1)) != one


def test_the_parts_are_known_values(files: Files) -> None:
    """A change here moves rows between train and test of everybody's data sets."""
    parts = parts_of(files, table(TEXTS[:20]))
    assert [i for i, part in enumerate(parts) if part == "validation"] == [15, 16]
    assert [i for i, part in enumerate(parts) if part == "test"] == [14, 18]


def test_identical_texts_share_a_part(files: Files) -> None:
    texts = [*TEXTS, *(text.upper() + " " for text in TEXTS)]
    parts = parts_of(files, table(texts, ["a", "b"] * 100))
    assert parts[:100] == parts[100:]


def test_without_labels_there_is_one_stratum(files: Files) -> None:
    assert Counter(parts_of(files, table(TEXTS, TEXTS), label=None)) == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }


def test_labels_are_stripped_before_stratifying(files: Files) -> None:
    assert Counter(parts_of(files, table(TEXTS[:10], ["x", " x"] * 5))) == {
        "train": 8,
        "validation": 1,
        "test": 1,
    }


def test_rows_keep_their_part_when_others_are_added(files: Files) -> None:
    old = table(TEXTS, ["a", "b"] * 50)
    before = parts_of(files, old)
    added = table([f"new {i}" for i in range(100)] + TEXTS[:50], ["b"] * 150, first=100)
    after = parts_of(files, joined(old, added))
    assert after[:100] == before
    assert after[200:] == before[:50]  # known texts join their part
    assert parts_of(files, old) == before
    # What is tested on stays the same rows; the others share the new ones, 8 to 1.
    assert Counter(after[100:200]) == {"train": 89, "validation": 11}


def test_a_new_group_does_not_join_the_test_part(files: Files) -> None:
    how = GroupSplit(kind="group", column="customer")
    old = table(TEXTS[:50], customer=[f"c{i // 5}" for i in range(50)])
    before = parts_of(files, old, how)
    added = table([f"new {i}" for i in range(40)], first=50, customer=[f"d{i // 2}" for i in range(40)])
    after = parts_of(files, joined(old, added), how)
    assert after[:50] == before
    assert "test" not in after[50:]
    assert "validation" in after[50:]


def test_parts_are_read_back_not_reckoned_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts_of(files, table(TEXTS))
    monkeypatch.setattr(split_module, "_parts", None)
    assert parts_of(files, table(TEXTS)) == before
    assert parts_of(files, table(TEXTS).slice(10, 5)) == before[10:15]


def test_other_columns_are_another_split(files: Files) -> None:
    data = table(TEXTS, TEXTS[::-1])
    split(files, ID, data, ["text"], "label", RandomSplit())
    split(files, ID, data, ["text", "label"], None, RandomSplit())
    assert len(list((files.dataset(ID) / "splits").glob("*.parquet"))) == 2


def test_groups_stay_together(files: Files) -> None:
    customers = [f"c{i // 5}" for i in range(100)]
    parts = parts_of(files, table(TEXTS, customer=customers), GroupSplit(kind="group", column="customer"))
    for begin in range(0, 100, 5):
        assert len(set(parts[begin : begin + 5])) == 1
    assert Counter(parts) == {"train": 80, "validation": 10, "test": 10}


def test_rows_without_a_group_stand_alone(files: Files) -> None:
    parts = parts_of(files, table(TEXTS, customer=[""] * 100), GroupSplit(kind="group", column="customer"))
    assert Counter(parts) == {"train": 80, "validation": 10, "test": 10}


def test_a_group_keeps_its_part_when_it_grows(files: Files) -> None:
    how = GroupSplit(kind="group", column="customer")
    old = table(TEXTS[:50], customer=[f"c{i // 5}" for i in range(50)])
    before = parts_of(files, old, how)
    added = table([f"new {i}" for i in range(50)], first=50, customer=[f"c{i // 5}" for i in range(50)])
    assert parts_of(files, joined(old, added), how)[50:] == before


def test_groups_that_share_a_text_are_one(files: Files) -> None:
    texts = [*TEXTS[:90], *(f"  {text.upper()}" for text in TEXTS[:80:8])]
    customers = [f"c{i // 5}" for i in range(90)] + [f"d{i}" for i in range(10)]
    parts = parts_of(files, table(texts, customer=customers), GroupSplit(kind="group", column="customer"))
    assert parts[90:] == parts[:80:8]
    assert all(len(set(parts[begin : begin + 5])) == 1 for begin in range(0, 90, 5))
    assert set(parts) == {"train", "validation", "test"}


def test_a_new_row_goes_with_its_text_then_with_its_group(files: Files) -> None:
    how = GroupSplit(kind="group", column="customer")
    old = table(TEXTS[:50], customer=[f"c{i // 5}" for i in range(50)])
    before = parts_of(files, old, how)
    train, test = before.index("train"), before.index("test")
    added = table([TEXTS[train], "new", "new"], first=50, customer=[f"c{test // 5}", f"c{test // 5} ", "c99"])
    assert parts_of(files, joined(old, added), how) == [*before, "train", "test", "test"]


def test_more_than_half_of_the_rows_train(files: Files) -> None:
    for seed in range(10):
        how = GroupSplit(kind="group", column="customer", seed=seed)
        customers = ["large"] * 60 + [f"c{i}" for i in range(40)]
        assert set(parts_of(files, table(TEXTS, customer=customers), how)[:60]) == {"train"}


@pytest.mark.parametrize(
    "times",
    [
        [str(i * 1.5) for i in range(100)],
        [f"{2000 + i // 12}-{i % 12 + 1:02}-01" for i in range(100)],
        [f"2024-05-01T10:{i // 60:02}:{i % 60:02}Z" for i in range(100)],
    ],
)
def test_the_oldest_train_and_the_newest_test(files: Files, times: list[str]) -> None:
    data = table(TEXTS[::-1], when=times[::-1])
    parts = parts_of(files, data, TimeSplit(kind="time", column="when"))
    assert parts == ["test"] * 10 + ["validation"] * 10 + ["train"] * 80


def test_a_later_copy_goes_with_the_earlier(files: Files) -> None:
    data = table([*TEXTS[:99], TEXTS[0]], when=[str(i) for i in range(100)])
    assert parts_of(files, data, TimeSplit(kind="time", column="when"))[99] == "train"


def test_columns_say_the_part(files: Files) -> None:
    values = ["train", "Train ", "VALID", "val", "dev", "validation", "test", "Test"]
    parts = parts_of(files, table(TEXTS[:8], fold=values), ColumnSplit(kind="column", column="fold"))
    assert parts == ["train"] * 2 + ["validation"] * 4 + ["test"] * 2


def test_identical_texts_stay_where_the_column_puts_them(files: Files) -> None:
    data = table(["same", "same", "same"], fold=["train", "val", "test"])
    assert parts_of(files, data, ColumnSplit(kind="column", column="fold")) == ["train", "validation", "test"]


def test_a_ninth_of_train_validates_when_the_column_has_none(files: Files) -> None:
    data = table(TEXTS, ["a"] * 45 + ["b"] * 45 + ["a"] * 10, fold=["train"] * 90 + ["test"] * 10)
    parts = parts_of(files, data, ColumnSplit(kind="column", column="fold"))
    assert parts[90:] == ["test"] * 10
    assert Counter(parts[:45]) == Counter(parts[45:90]) == {"train": 40, "validation": 5}
    more = table([f"new {i}" for i in range(90)], first=100, fold=["train"] * 90)
    grown = parts_of(files, joined(data, more), ColumnSplit(kind="column", column="fold"))
    assert grown[:100] == parts
    assert Counter(grown)["validation"] == 20


def test_a_row_that_validates_stays_when_a_later_version_says_which_validate(files: Files) -> None:
    how = ColumnSplit(kind="column", column="fold")
    data = table(TEXTS, fold=["train"] * 90 + ["test"] * 10)
    before = parts_of(files, data, how)
    more = table(["new 1", "new 2"], first=100, fold=["validation", "train"])
    assert parts_of(files, joined(data, more), how) == [*before, "validation", "train"]


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_column_needs_train_and_test(files: Files, missing: str) -> None:
    other = "test" if missing == "train" else "train"
    with pytest.raises(Invalid, match=f"No row is {missing} in the column 'fold'"):
        parts_of(files, table(["a", "b"], fold=[other, "val"]), ColumnSplit(kind="column", column="fold"))


def test_a_missing_column_is_named(files: Files) -> None:
    with pytest.raises(Invalid, match="needs the column 'fold'"):
        parts_of(files, table(TEXTS), ColumnSplit(kind="column", column="fold"))


def test_values_that_cannot_be_used_are_told_by_line(bench: Bench) -> None:
    view = bench.read("text,label,fold,when\na,x,train,2024-01-01\n\nb,y,holdout,soon\nc,z,test,\n")
    data = bench.store.table(view["id"], 1, ["text", "label", "fold", "when"])

    def attempt(how: Split) -> str:
        with pytest.raises(Invalid) as caught:
            split(bench.files, view["id"], data, ["text"], "label", how)
        assert caught.value.problems[0]["where"] == "line 4"
        return caught.value.message

    assert "the column 'fold' has 'holdout' there" in attempt(ColumnSplit(kind="column", column="fold"))
    assert "the column 'when' has 'soon' there, and needs a date" in attempt(
        TimeSplit(kind="time", column="when")
    )


def test_small_files_are_split_as_far_as_they_go(files: Files) -> None:
    assert parts_of(files, table(["only one"])) == ["train"]
    assert parts_of(files, table([])) == []
