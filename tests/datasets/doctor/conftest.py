"""A doctor for a table in a test: reads it as an upload is read, examines it, gives findings and report."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.datasets.doctor.base import Asked
from app.datasets.doctor.examine import examine
from app.datasets.doctor.report import Report
from app.datasets.ingest import ingest
from app.datasets.options import ReadOptions


class Examined:
    """`found`: the findings by their ids."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.found: dict[str, Any] = {one["id"]: one for one in report.findings()}

    def rows(self, finding: str, role: str | None = None) -> set[int]:
        """Row ids of a finding (of one role)."""
        items = self.report.rows(finding, 0, 100_000)["items"]
        return {one["row_id"] for one in items if role is None or one["role"] == role}

    def notes(self, finding: str) -> dict[int, str]:
        return {one["row_id"]: one["note"] for one in self.report.rows(finding, 0, 100_000)["items"]}


Doctor = Callable[..., Examined]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """doctor(columns, rows, **asked): rows are lists of cells; text and label are read unless said otherwise."""

    def look(columns: Sequence[str], rows: Sequence[Sequence[str]], **asked: Any) -> Examined:
        file = io.StringIO()
        csv.writer(file).writerows([columns, *rows])
        version = tmp_path / f"v{len(list(tmp_path.iterdir()))}"
        version.mkdir()
        original = version / "original"
        original.write_text(file.getvalue(), encoding="utf-8")
        ingest(original, version, "rows.csv", ReadOptions(format="csv", header=True, delimiter=","))
        question = Asked(**{"text": ("text",), "label": "label" if "label" in columns else None, **asked})
        out = version / "out"
        examine(version, out, question)
        return Examined(Report(version, out, tmp_path / "marks"))

    return look


WORDS = [
    "the",
    "harbour",
    "train",
    "slowly",
    "market",
    "bright",
    "window",
    "paper",
    "garden",
    "engine",
    "river",
    "quiet",
    "letter",
    "stone",
    "morning",
    "teacher",
    "winter",
    "silver",
    "bridge",
    "yellow",
    "corner",
    "music",
    "doctor",
    "village",
    "summer",
    "coffee",
    "kitchen",
    "pocket",
    "mirror",
    "island",
    "forest",
    "ticket",
    "blanket",
    "orange",
    "candle",
    "signal",
    "thunder",
    "pencil",
    "basket",
    "copper",
    "meadow",
    "ladder",
    "velvet",
    "anchor",
    "harvest",
    "lantern",
    "saddle",
    "cottage",
    "whistle",
    "compass",
    "feather",
    "glacier",
]


def texts(count: int, seed: int = 1, words: int = 12) -> list[str]:
    """Texts of which no two are alike."""
    import random

    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) for _ in range(words)) for _ in range(count)]


def labelled(count: int, seed: int = 1) -> list[list[str]]:
    return [[text, "pos" if place % 2 else "neg"] for place, text in enumerate(texts(count, seed))]
