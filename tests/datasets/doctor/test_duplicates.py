"""Copies and contradictions: capital letters and white space aside, by group, with a fix for each."""

from app.datasets.steps import Drop
from tests.datasets.doctor.conftest import Doctor, labelled


def test_copies_are_rows_with_the_same_text_and_label(doctor: Doctor) -> None:
    rows = labelled(60)
    rows += [[rows[3][0].upper(), rows[3][1]], [f"  {rows[3][0]} ", rows[3][1]], [rows[8][0], rows[8][1]]]
    seen = doctor(["text", "label"], rows)
    assert seen.found["duplicates"]["count"] == 3
    assert seen.rows("duplicates", "first") == {3, 8}
    assert seen.rows("duplicates", "copy") == {60, 61, 62}
    assert seen.report.step("duplicates", "keep-first") == Drop(kind="drop", rows=[60, 61, 62])
    items = seen.report.rows("duplicates", 0, 10)["items"]
    assert [(one["row_id"], one["group"]) for one in items] == [(3, 0), (60, 0), (61, 0), (8, 1), (62, 1)]


def test_one_text_with_two_labels_is_a_contradiction_and_no_copy(doctor: Doctor) -> None:
    rows = labelled(60)
    rows += [[rows[2][0], "neg"], [rows[2][0].title(), "pos"]]
    seen = doctor(["text", "label"], rows)
    assert seen.rows("conflicts") == {2, 60, 61}
    assert seen.notes("conflicts") == {2: "neg", 60: "neg", 61: "pos"}
    assert seen.rows("duplicates") == {2, 60}
    assert seen.report.step("conflicts", "majority") == Drop(kind="drop", rows=[61])
    assert seen.report.step("conflicts", "drop") == Drop(kind="drop", rows=[2, 60, 61])


def test_empty_texts_are_no_copies_and_an_empty_label_contradicts_nothing(doctor: Doctor) -> None:
    rows = labelled(60)
    rows += [["", "pos"], [" ", "pos"], [rows[0][0], ""]]
    assert set(doctor(["text", "label"], rows).found) == {"missing-1", "missing-2"}


def test_without_a_label_column_equal_texts_are_copies(doctor: Doctor) -> None:
    rows = [[text] for text, _ in labelled(60)]
    assert doctor(["text"], [*rows, rows[4]]).rows("duplicates") == {4, 60}


def test_two_text_columns_are_one_text(doctor: Doctor) -> None:
    rows = [[text, "same", label] for text, label in labelled(60)]
    rows += [[rows[1][0], "other", rows[1][2]], rows[2]]
    seen = doctor(["text", "text2", "label"], rows, text=("text", "text2"))
    assert seen.rows("duplicates") == {2, 61}


def test_a_column_of_free_text_as_label_makes_every_row_its_own(doctor: Doctor) -> None:
    rows = [[text, f"answer {place}"] for place, (text, _) in enumerate(labelled(60))]
    seen = doctor(["text", "label"], rows)
    assert seen.found["no-labels"]["severity"] == "error"
    assert "60 different values" in seen.found["no-labels"]["message"]
