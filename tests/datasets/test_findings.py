from app.datasets.findings import lines_text


def test_lists_of_lines_read_well() -> None:
    assert lines_text([4], 1) == "line 4"
    assert lines_text([4, 9], 2) == "lines 4 and 9"
    assert lines_text([4, 9, 12], 3) == "lines 4, 9 and 12"
    assert lines_text([4, 9], 1200) == "lines 4, 9, … (the first 2 of 1,200)"
    assert lines_text([1, 1, 1], 60) == "line 1"  # JSON without line ends
