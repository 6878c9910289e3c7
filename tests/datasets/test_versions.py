"""Versions: a step makes one, undo goes back, rows keep their ids, nothing a run uses goes away."""

import threading
from typing import Any, Literal

import pytest

from app.core.errors import Conflict, NotFound
from app.core.spec import ColumnSplit, RandomSplit
from app.datasets.rows import ROW_ID
from app.datasets.split import split
from app.datasets.steps import Clean, Drop, Merge, Put, Step
from app.datasets.versions import Versions
from tests.datasets.conftest import Bench, csv_of


@pytest.fixture
def versions(bench: Bench) -> Versions:
    return Versions(bench.database, bench.files, lambda: bench.now)


class TwoMore(Step):
    """Adds rows, as a step kind of later may."""

    kind: Literal["two_more"] = "two_more"

    @property
    def title(self) -> str:
        return "add 2 rows"

    def change(self, block: Any) -> Any:
        return block

    def added(self, columns: Any) -> Any:
        return [{"text": "one more", "label": "pos"}, {"text": "and another"}]


def ids(bench: Bench, dataset_id: str, version: int | None = None) -> list[int]:
    return [item["row_id"] for item in bench.store.rows(dataset_id, 0, 1000, version)["items"]]


def test_a_step_makes_a_version_with_its_own_rows_profile_and_hash(bench: Bench, versions: Versions) -> None:
    view = bench.read(csv_of(6))
    made = versions.apply(view["id"], Drop(kind="drop", rows=[1, 3]), finding="duplicates")
    after = bench.store.view(view["id"])
    assert (after["version"], after["rows"]) == (2, 4) and after["sha256"] != view["sha256"]
    assert ids(bench, view["id"]) == [0, 2, 4, 5]
    assert after["profile"]["columns"]["label"]["counts"] == {"neg": 1, "pos": 3}
    assert (made["version"], made["parent"], made["current"]) == (2, 1, True)
    assert made["step"] == {
        "kind": "drop", "title": "drop 2 rows", "finding": "duplicates", "removed": 2, "changed": 0, "added": 0
    }  # fmt: skip
    assert bench.store.rows(view["id"], 0, 1000, 1)["rows"] == 6


def test_the_same_rows_have_the_same_hash_whatever_led_there(bench: Bench, versions: Versions) -> None:
    view = bench.read(csv_of(6))
    versions.apply(view["id"], Put(kind="put", rows=[2], column="label", value="neg"))
    versions.apply(view["id"], Put(kind="put", rows=[2], column="label", value="pos"))
    assert bench.store.view(view["id"])["sha256"] == view["sha256"]


def test_undo_and_redo_walk_along_the_steps(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(6))["id"]
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]))
    versions.apply(dataset_id, Drop(kind="drop", rows=[1]))
    assert (versions.undo(dataset_id), versions.undo(dataset_id)) == (2, 1)
    with pytest.raises(Conflict, match="nothing to undo"):
        versions.undo(dataset_id)
    assert ids(bench, dataset_id) == [0, 1, 2, 3, 4, 5]
    assert (versions.redo(dataset_id), versions.redo(dataset_id)) == (2, 3)
    with pytest.raises(Conflict, match="Nothing was undone"):
        versions.redo(dataset_id)


def test_a_step_after_an_undo_begins_a_branch_and_takes_no_number_away(
    bench: Bench, versions: Versions
) -> None:
    dataset_id = bench.read(csv_of(6))["id"]
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]))
    versions.undo(dataset_id)
    made = versions.apply(dataset_id, Drop(kind="drop", rows=[5]))
    assert (made["version"], made["parent"]) == (3, 1)
    history = versions.history(dataset_id)
    assert [(one["version"], one["in_use"]) for one in history] == [(1, True), (2, False), (3, True)]
    assert ids(bench, dataset_id, 2) == [1, 2, 3, 4, 5]


def test_added_rows_get_ids_that_no_row_of_any_version_had(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(4))["id"]
    versions.apply(dataset_id, TwoMore())
    assert ids(bench, dataset_id) == [0, 1, 2, 3, 4, 5]
    versions.undo(dataset_id)
    versions.apply(dataset_id, Drop(kind="drop", rows=[3]))
    made = versions.apply(dataset_id, TwoMore())
    assert ids(bench, dataset_id) == [0, 1, 2, 6, 7]
    assert made["step"]["added"] == 2
    last = bench.store.rows(dataset_id, 4, 1)["items"][0]
    assert last == {"row_id": 7, "line": 0, "cells": {"text": "and another", "label": ""}}


def test_a_preview_counts_and_changes_nothing(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read("text,label\na,x \nb,x\nc,y\n")["id"]
    found = versions.preview(dataset_id, Clean(kind="clean", column="label", how="spaces"))
    assert (found.removed, found.changed, found.after) == (0, 1, 3)
    assert versions.preview(dataset_id, Merge(kind="merge", column="label", labels={"y": "x"})).changed == 1
    assert versions.preview(dataset_id, Drop(kind="drop", rows=[0, 99])).removed == 1
    assert len(versions.history(dataset_id)) == 1


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (Drop(kind="drop", rows=[99]), Conflict, "changes no row"),
        (Drop(kind="drop", rows=[0, 1, 2, 3]), Conflict, "no row at all"),
        (
            Clean(kind="clean", column="txt", how="html"),
            Conflict,
            "txt: is no column; there are: text, label",
        ),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_and_leaves_nothing(
    bench: Bench, versions: Versions, step: Step, error: type[Exception], message: str
) -> None:
    dataset_id = bench.read(csv_of(4))["id"]
    with pytest.raises(error, match=message):
        versions.apply(dataset_id, step)
    assert len(versions.history(dataset_id)) == 1
    assert not bench.files.version(dataset_id, 2).exists()


def test_a_decision_about_an_older_version_is_refused(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(6))["id"]
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]), expected=1)
    with pytest.raises(Conflict, match="at version 2 by now, not at 1"):
        versions.apply(dataset_id, Drop(kind="drop", rows=[1]), expected=1)


def test_steps_at_once_come_one_after_the_other(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(400))["id"]
    steps = [Drop(kind="drop", rows=[row]) for row in range(4)]
    threads = [threading.Thread(target=versions.apply, args=(dataset_id, step)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.store.view(dataset_id)["rows"] == 396
    assert [one["parent"] for one in versions.history(dataset_id)] == [None, 1, 2, 3, 4]


def test_a_run_keeps_the_version_it_used(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(6))["id"]
    bench.run_on(dataset_id)
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]))
    assert [one["runs"] for one in versions.history(dataset_id)] == [1, 0]
    assert bench.store.table(dataset_id, 1, ["text"]).num_rows == 6


def test_reading_again_needs_the_steps_undone_and_forgets_them(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(6))["id"]
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]))
    with pytest.raises(Conflict, match="undo the steps first"):
        bench.again(dataset_id, header=False)
    versions.undo(dataset_id)
    assert bench.again(dataset_id, header=False)["rows"] == 7
    assert [one["version"] for one in versions.history(dataset_id)] == [1]
    assert not bench.files.version(dataset_id, 2).exists()


def test_what_reading_said_of_the_file_stays_and_of_columns_is_looked_at_anew(
    bench: Bench, versions: Versions
) -> None:
    view = bench.read("text,label\na,x\nb,X\nä,x\n".encode("latin-1"))
    wheres = [one["where"] for one in view["problems"]]
    assert "encoding" in wheres and "column label" in wheres
    versions.apply(view["id"], Merge(kind="merge", column="label", labels={"X": "x"}))
    assert [one["where"] for one in bench.store.view(view["id"])["problems"]] == ["encoding"]


def test_an_unknown_data_set_has_no_versions(versions: Versions) -> None:
    for ask in (versions.history, versions.undo, versions.redo):
        with pytest.raises(NotFound, match="no data set"):
            ask("abcdefghijkl")


def _parts(bench: Bench, dataset_id: str, version: int, how: Any) -> dict[int, str]:
    columns = ["text", "label", *([how.column] if isinstance(how, ColumnSplit) else [])]
    table = bench.store.table(dataset_id, version, columns)
    found = split(bench.files, dataset_id, table, ["text"], "label", how)
    return dict(zip(table[ROW_ID].to_pylist(), found, strict=True))


def test_rows_keep_their_parts_through_versions(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(60))["id"]
    before = _parts(bench, dataset_id, 1, RandomSplit())
    versions.apply(dataset_id, Drop(kind="drop", rows=[0, 7, 8]))
    versions.apply(dataset_id, Put(kind="put", rows=[4], column="label", value="neg"))
    after = _parts(bench, dataset_id, 3, RandomSplit())
    assert after == {row: part for row, part in before.items() if row not in (0, 7, 8)}


@pytest.mark.parametrize("with_validation", [False, True])
def test_a_row_that_moves_to_train_moves_in_its_version_only(
    bench: Bench, versions: Versions, with_validation: bool
) -> None:
    parts = ["train"] * 18 + ["validation" if with_validation else "train"] * 2 + ["test"] * 4
    lines = [
        f"text number {row} of many,{'pos' if row % 2 else 'neg'},{part}" for row, part in enumerate(parts)
    ]
    dataset_id = bench.read("text,label,split\n" + "\n".join(lines) + "\n")["id"]
    how = ColumnSplit(kind="column", column="split")
    before = _parts(bench, dataset_id, 1, how)
    versions.apply(dataset_id, Put(kind="put", rows=[20], column="split", value="train"))
    for _ in range(2):
        assert _parts(bench, dataset_id, 2, how) == before | {20: "train"}
        assert _parts(bench, dataset_id, 1, how) == before


def test_rows_of_a_version_have_the_lines_of_the_file(bench: Bench, versions: Versions) -> None:
    dataset_id = bench.read(csv_of(4))["id"]
    versions.apply(dataset_id, Drop(kind="drop", rows=[0]))
    assert [item["line"] for item in bench.store.rows(dataset_id, 0, 10)["items"]] == [3, 4, 5]
