"""A finished examination: pages of rows, search, steps, marks."""

import pytest

from app.core.errors import NotFound
from app.datasets.steps import Drop
from tests.datasets.doctor.conftest import Doctor, labelled


def test_rows_come_in_pages_and_can_be_searched(doctor: Doctor) -> None:
    rows = labelled(200)
    rows += [[*rows[place]] for place in range(0, 60, 2)]
    seen = doctor(["text", "label"], rows)
    whole = seen.report.rows("duplicates", 0, 1000)
    pages = [seen.report.rows("duplicates", offset, 7)["items"] for offset in range(0, 60, 7)]
    assert whole["total"] == 60 and [one for page in pages for one in page] == whole["items"]
    assert whole["items"][1] == {
        "row_id": 200, "line": 202, "group": 0, "role": "copy", "note": "", "cells": {"text": rows[0][0], "label": "neg"}
    }  # fmt: skip
    found = seen.report.rows("duplicates", 0, 10, rows[4][0][5:30].upper())
    assert [one["row_id"] for one in found["items"]] == [4, 202] and found["total"] == 2
    assert seen.report.rows("duplicates", 0, 10, "no such thing (")["items"] == []


def test_what_is_not_there_is_said(doctor: Doctor) -> None:
    seen = doctor(["text", "label"], [*labelled(30), ["", "pos"]])
    with pytest.raises(NotFound, match="no finding 'leaks'"):
        seen.report.rows("leaks", 0, 10)
    with pytest.raises(NotFound, match="no finding"):
        seen.report.mark("../../x", True)
    with pytest.raises(NotFound, match="has no fix 'explode'; there is drop"):
        seen.report.step("missing-1", "explode")


def test_a_mark_moves_a_finding_to_the_end_until_it_has_other_rows(doctor: Doctor) -> None:
    rows = [*labelled(60), ["", "pos"], ["x joe@example.com", "pos"]]
    seen = doctor(["text", "label"], rows)
    assert [one["id"] for one in seen.report.findings()] == ["missing-1", "personal"]
    seen.report.mark("missing-1", True)
    assert [(one["id"], one["marked"]) for one in seen.report.findings()] == [
        ("personal", False),
        ("missing-1", True),
    ]
    again = doctor(["text", "label"], [*rows, ["", "neg"]])
    assert not again.found["missing-1"]["marked"]
    seen.report.mark("missing-1", False)
    assert not any(one["marked"] for one in seen.report.findings())


def test_a_fix_names_the_rows_that_it_means(doctor: Doctor) -> None:
    seen = doctor(["text", "label"], [*labelled(60), ["", "pos"], [" ", "neg"]])
    fix = seen.found["missing-1"]["fixes"][0]
    assert fix == {"id": "drop", "title": "Drop all 2 rows", "changes": 2, "kind": "drop"}
    assert seen.report.step("missing-1", "drop") == Drop(kind="drop", rows=[60, 61])
