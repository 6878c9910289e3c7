"""No cell of ours is a formula."""

import pytest

from app.core.cells import neutralised


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "=", "+1a"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert neutralised(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "a text", "a=b", "'=1", " =1", "-3", "+4.5", "-1e-7", "-1,5", "-.5", 3, -2.5, None]
)
def test_everything_else_stays(cell: object) -> None:
    assert neutralised(cell) == cell
