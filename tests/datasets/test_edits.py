"""Edits that are not saved: kept through crashes, undone one by one, never written over in silence, saved as one version."""

import threading
from typing import Any

import pytest

from app.core.errors import Conflict, Invalid, NotFound
from app.core.files import Files
from app.datasets import journal
from app.datasets.changes import parse_change
from app.datasets.edits import Edits
from app.datasets.journal import EDITS_FILE
from app.datasets.options import ReadOptions
from app.datasets.steps import Drop
from app.datasets.table import Table
from app.datasets.versions import Versions
from tests.datasets.conftest import Bench, csv_of


class Desk:
    """A data set of six rows, labelled pos, neg, pos …, and who edits it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.versions = Versions(bench.database, bench.files, lambda: bench.now)
        self.edits = Edits(bench.database, bench.files, self.versions, lambda: bench.now)
        self.table = Table(bench.files, self.edits)
        self.id: str = bench.read(csv_of(6))["id"]

    @property
    def path(self) -> Any:
        return self.bench.files.dataset(self.id) / EDITS_FILE

    def do(self, expected: int | None = None, **change: Any) -> dict[str, Any]:
        return self.edits.change(self.id, parse_change(change), expected)

    def label(self, row: int, value: str, before: str) -> dict[str, Any]:
        return self.do(cells=[{"row": row, "column": "label", "value": value, "before": before}])

    def labels(self) -> list[str]:
        return [one["cells"]["label"] for one in self.table.window(self.id, 0, 100)["items"]]

    def saved(self) -> list[tuple[int, str]]:
        items = self.bench.store.rows(self.id, 0, 100)["items"]
        return [(one["row_id"], one["cells"]["label"]) for one in items]


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench)


def test_a_change_is_shown_and_nothing_is_written_over(desk: Desk) -> None:
    told = desk.label(1, "pos", "neg")
    assert (told["version"], told["next_version"], told["changes"], told["cells"]) == (1, 2, 1, {"label": 1})
    (row,) = told["rows"]
    assert (row["row_id"], row["line"], row["cells"]["label"]) == (1, 3, "pos") and row["saved"] == {
        "label": "neg"
    }
    assert desk.labels() == ["pos", "pos", "pos", "neg", "pos", "neg"]
    assert desk.saved()[1] == (1, "neg")


def test_all_changes_become_one_version(desk: Desk) -> None:
    desk.label(1, "pos", "neg")
    desk.do(drop=[0], add=[{"text": "a new text", "label": "neg"}])
    desk.label(-1, "pos", "neg")
    made = desk.edits.save(desk.id, expected=1)
    assert (made["version"], made["parent"]) == (2, 1)
    assert made["step"]["title"] == "edit 1 row (1 in label), add 1 row, drop 1 row"
    assert desk.saved() == [(1, "pos"), (2, "pos"), (3, "neg"), (4, "pos"), (5, "neg"), (6, "pos")]
    told = desk.edits.look(desk.id)
    assert (told["version"], told["changes"], told["undo"], told["redo"]) == (2, 0, None, None)
    assert not desk.path.exists()
    with pytest.raises(Conflict, match="no change to save"):
        desk.edits.save(desk.id)


def test_undo_and_redo_go_one_by_one_and_survive_a_restart(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    desk.label(1, "y", "x")
    told = desk.do(add=[{"text": "one"}], drop=[3])
    assert told["undo"] == "add 1 row, drop 1 row" and told["changes"] == 3
    again = Edits(desk.bench.database, Files(desk.bench.files.root), desk.versions)
    assert again.undo(desk.id)["changes"] == 1
    told = again.undo(desk.id)
    assert desk.labels()[1] == "x" and (told["undo"], told["redo"]) == (
        "write 'x' into label",
        "write 'y' into label",
    )
    assert again.redo(desk.id)["rows"][0]["cells"]["label"] == "y"
    assert again.redo(desk.id)["changes"] == 3
    with pytest.raises(Conflict, match="was undone"):
        again.redo(desk.id)
    for _ in range(3):
        again.undo(desk.id)
    assert again.look(desk.id)["changes"] == 0
    with pytest.raises(Conflict, match="no change to undo"):
        again.undo(desk.id)


def test_a_new_change_ends_what_could_be_redone(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    desk.edits.undo(desk.id)
    assert desk.label(2, "y", "pos")["redo"] is None


def test_a_number_of_an_added_row_is_not_given_twice(desk: Desk) -> None:
    assert desk.do(add=[{"text": "a"}, {"text": "b"}])["rows"][1]["row_id"] == -2
    desk.edits.undo(desk.id)
    assert desk.do(add=[{"text": "c"}])["rows"][0]["row_id"] == -3


def test_a_cell_that_is_as_before_again_is_no_change(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    assert desk.label(1, "neg", "x")["changes"] == 0
    before = desk.path.read_bytes()
    desk.label(1, "neg", "neg")
    assert desk.path.read_bytes() == before  # nor a line
    desk.versions.apply(desk.id, Drop(kind="drop", rows=[0]))  # nor in the way of a step


def test_two_tabs_do_not_write_over_each_other(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    with pytest.raises(Conflict, match=r"The row of line 3 has 'x' in label by now, not 'neg'"):
        desk.label(1, "y", "neg")
    desk.do(drop=[1])
    with pytest.raises(Conflict, match="marked to be dropped"):
        desk.label(1, "y", "x")
    with pytest.raises(Conflict, match="at version 1 by now, not at 2"):
        desk.do(expected=2, drop=[2])


def test_of_many_writers_at_once_one_gets_the_cell_and_every_row_its_value(desk: Desk) -> None:
    refused: list[str] = []

    def write(name: str) -> None:
        try:
            desk.label(1, name, "neg")
        except Conflict as error:
            refused.append(error.message)
        desk.do(add=[{"text": name}])

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    told = desk.edits.look(desk.id, 0, 100)
    assert told["added"] == 8 and len({row["row_id"] for row in told["rows"]}) == 9
    assert sorted(row["cells"]["text"] for row in told["rows"][1:]) == [f"w{number}" for number in range(8)]


def test_a_line_that_a_crash_cut_off_is_no_line(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    with desk.path.open("ab") as file:
        file.write(b'{"cells": [[2, "lab')
    assert desk.edits.look(desk.id)["changes"] == 1
    desk.label(3, "y", "neg")
    assert [one["row_id"] for one in desk.edits.look(desk.id, 0, 9)["rows"]] == [1, 3]


def test_a_crash_between_the_version_and_the_end_of_the_journal_saves_nothing_twice(desk: Desk) -> None:
    desk.do(add=[{"text": "once", "label": "pos"}])
    left = desk.path.read_bytes()
    desk.edits.save(desk.id)
    desk.path.write_bytes(left)  # as if it had not come to that
    assert desk.edits.look(desk.id)["changes"] == 0
    assert desk.versions.undo(desk.id) == 1
    assert desk.edits.look(desk.id)["changes"] == 0  # at the version of the journal too
    desk.versions.redo(desk.id)
    assert desk.do(drop=[0])["changes"] == 1
    assert len(desk.saved()) == 7


def test_discarding_can_be_undone(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    desk.do(drop=[2])
    told = desk.edits.discard(desk.id)
    assert (told["changes"], told["rows"], told["undo"]) == (0, None, "discard all changes")
    assert desk.edits.undo(desk.id)["changes"] == 2
    assert desk.labels()[1] == "x"


def test_nothing_else_changes_the_data_while_there_are_edits(desk: Desk) -> None:
    desk.versions.apply(desk.id, Drop(kind="drop", rows=[5]))
    desk.label(1, "x", "neg")
    sentence = "has 1 change that is not saved yet: save or discard them first"
    for move in (
        lambda: desk.versions.apply(desk.id, Drop(kind="drop", rows=[0])),
        lambda: desk.versions.undo(desk.id),
        lambda: desk.versions.redo(desk.id),
        lambda: desk.bench.store.reread(desk.id, ReadOptions(encoding="cp1252")),
    ):
        with pytest.raises(Conflict, match=sentence):
            move()
    desk.edits.discard(desk.id)
    assert desk.versions.undo(desk.id) == 1
    assert desk.edits.look(desk.id)["undo"] is None  # those were of another version


def test_reading_again_forgets_what_was_discarded(desk: Desk) -> None:
    desk.label(1, "x", "neg")
    desk.edits.discard(desk.id)
    desk.bench.again(desk.id, delimiter=",")
    assert not desk.path.exists()


def test_rows_and_columns_that_are_not_there_are_told_at_once(desk: Desk) -> None:
    with pytest.raises(Conflict) as error:
        desk.do(
            cells=[{"row": 99, "column": "lable", "value": "x", "before": "y"}],
            drop=[-4],
            add=[{"text": " "}],
        )
    assert [one["where"] for one in error.value.problems] == ["lable", "row 99", "row -4", "add.0"]
    with pytest.raises(Invalid, match=r"add\.0: is empty in every column"):
        desk.do(add=[{"text": " "}])
    with pytest.raises(NotFound):
        desk.edits.look("abcdefghijkl")


def test_a_step_of_edits_names_rows_that_are_gone(desk: Desk) -> None:
    from app.datasets.steps import parse_step

    desk.versions.apply(desk.id, Drop(kind="drop", rows=[2]))
    step = parse_step({"kind": "edit", "cells": [{"row": 2, "column": "label", "value": "x"}], "drop": [0]})
    for move in (desk.versions.preview, desk.versions.apply):
        with pytest.raises(Conflict, match=r"row 2: is no row of this version"):
            move(desk.id, step)
    assert desk.bench.store.view(desk.id)["version"] == 2


def test_added_rows_come_behind_the_others_in_any_window(desk: Desk) -> None:
    desk.do(add=[{"text": f"new {number}"} for number in range(3)])
    page = desk.table.window(desk.id, 5, 2)
    assert page["rows"] == 9 and [one["row_id"] for one in page["items"]] == [5, -1]
    assert [one["row_id"] for one in desk.table.window(desk.id, 7, 10)["items"]] == [-2, -3]
    desk.do(drop=[-2])
    assert [one["dropped"] for one in desk.table.window(desk.id, 7, 10)["items"]] == [True, False]
    desk.edits.save(desk.id)
    assert [row for row, _ in desk.saved()] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_too_much_that_is_not_saved_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.label(1, "x", "neg")
    monkeypatch.setattr("app.datasets.edits.MAX_LINES", 1)
    with pytest.raises(Conflict, match=r"1 change that is not saved yet\. Save first"):
        desk.label(3, "y", "neg")
    monkeypatch.undo()
    monkeypatch.setattr("app.datasets.edits.MAX_CHARS", 3)
    with pytest.raises(Conflict, match="Save first, then go on"):
        desk.label(3, "abc", "neg")
    assert desk.edits.look(desk.id)["changes"] == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({}, ""),
        ({"cells": [{"row": 1, "column": "label", "value": "x"}]}, "cells.0.before"),
        ({"drop": ["one"]}, "drop.0"),
        ({"add": [[]]}, "add.0"),
        ({"cels": []}, "cels"),
    ],
)
def test_a_bad_change_is_told_its_field(change: Any, where: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_change(change)
    assert error.value.problems[0]["where"] == where


def test_a_folded_journal_is_what_its_actions_come_to() -> None:
    add = {"cells": [], "drop": [], "restore": [], "add": [[-1, {"text": "a"}]]}
    pending = journal.fold([add, {"cells": [[-1, "text", "b", "a"]], "drop": [], "restore": [], "add": []}])
    assert pending.coming == {-1: {"text": "b"}} and pending.count == 1
    assert add["add"] == [[-1, {"text": "a"}]]  # an action stays as it was
