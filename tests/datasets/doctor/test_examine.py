"""An examination as a whole: good data has no findings, each row is seen once, nothing is left behind."""

from pathlib import Path

import pytest

from app.datasets.doctor import CHECKS
from app.datasets.doctor.base import Asked
from app.datasets.doctor.examine import examine
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions
from tests.datasets.doctor.conftest import Doctor, labelled


def test_good_data_has_no_findings(doctor: Doctor) -> None:
    assert doctor(["text", "label"], labelled(200)).found == {}


def test_the_worst_comes_first(doctor: Doctor) -> None:
    rows = labelled(100)
    rows += [[rows[0][0], "neg" if rows[0][1] == "pos" else "pos"], ["", "pos"], [rows[5][0], rows[5][1]]]
    rows += [[rows[1][0], "neg" if rows[1][1] == "pos" else "pos"]]
    severities = [one["severity"] for one in doctor(["text", "label"], rows).report.findings()]
    assert severities == ["error", "warning", "warning"]


def test_a_question_has_a_key_of_its_own() -> None:
    keys = {Asked(("a",)).key, Asked(("a",), "b").key, Asked(("a", "b")).key, Asked(("a",), model="x").key}
    assert len(keys) == 4 and Asked(("a",)).key == Asked(("a",)).key


def test_progress_may_stop_it_and_no_finding_is_left(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_text("text,label\na,b\nc,d\n")
    ingest(original, tmp_path, "rows.csv", ReadOptions())

    def stop(share: float, doing: str) -> None:
        raise InterruptedError(doing)

    with pytest.raises(InterruptedError):
        examine(tmp_path, tmp_path / "out", Asked(("text",), "label"), stop)
    assert not (tmp_path / "out").exists()


def test_no_folder_of_a_deleted_data_set_comes_back(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_text("text,label\na,b\nc,d\n")
    ingest(original, tmp_path, "rows.csv", ReadOptions())
    with pytest.raises(FileNotFoundError):
        examine(tmp_path, tmp_path / "gone" / "out", Asked(("text",), "label"))
    assert not (tmp_path / "gone").exists()


def test_every_check_says_what_it_does() -> None:
    assert all(check.doing and check.doing == check.doing.strip() for check in CHECKS)
    assert len({check.doing for check in CHECKS}) == len(CHECKS)
