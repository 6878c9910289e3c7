"""Numbers and times in the form that the pages show."""

from datetime import datetime

import pytest

from app.web.render import count, duration, rate, score, when


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.4, "0 s"),
        (41, "41 s"),
        (59.7, "1 min"),
        (70, "1 min 10 s"),
        (840, "14 min"),
        (3599, "60 min"),
        (11520, "3 h 12 min"),
        (7200, "2 h"),
        (187200, "2 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_scores_and_gains() -> None:
    assert (score(0.8614), score(None), score("x")) == ("0.861", "–", "–")
    assert (count(12345), count(None), rate(47.2), rate(3.21), rate(None)) == ("12,345", "", "47", "3.2", "")


def test_times_are_near_or_dated() -> None:
    now = datetime(2026, 11, 24, 15, 30).astimezone()

    def shown(*moment: int) -> str:
        text = datetime(*moment).astimezone().isoformat()  # type: ignore[arg-type]
        return when(text, clock=now.timestamp)

    assert shown(2026, 11, 24, 9, 5) == "today 9:05"
    assert shown(2026, 11, 23, 23, 59) == "yesterday 23:59"
    assert shown(2026, 11, 20, 8, 0) == "Fri 8:00"
    assert shown(2026, 11, 3, 8, 0) == "3 Nov 2026"
    assert when(None, clock=now.timestamp) == ""
