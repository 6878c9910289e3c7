"""The held-out rows of a finished run with what the model made of them: runs/ID/heldout.parquet.

Written once by the trainer, the worst rows first; read page by page for the error browser and its download.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "heldout.parquet"


@dataclass(frozen=True)
class Prediction:
    """One held-out row.

    `wrong`: whether it is a mistake (for figures without right and wrong: whether it is among the worst). `badness`: the
    worst come first. `classes`: what one can filter by (its true and predicted labels, its entity types). `detail`: what
    the page needs to draw it, as JSON.
    """

    row_id: int
    text: str
    truth: str
    predicted: str
    wrong: bool
    badness: float
    classes: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)


def write(path: Path, predictions: Sequence[Prediction]) -> None:
    """Writes the rows aside, worst first (wrong before right; equal ones in the order of the file), and renames."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ordered = sorted(predictions, key=lambda one: (not one.wrong, -one.badness))
    table = pa.table(
        {
            "row_id": pa.array([one.row_id for one in ordered], pa.int64()),
            "text": pa.array([one.text for one in ordered], pa.string()),
            "truth": pa.array([one.truth for one in ordered], pa.string()),
            "predicted": pa.array([one.predicted for one in ordered], pa.string()),
            "wrong": pa.array([one.wrong for one in ordered], pa.bool_()),
            "badness": pa.array([one.badness for one in ordered], pa.float64()),
            "classes": pa.array([list(one.classes) for one in ordered], pa.list_(pa.string())),
            "detail": pa.array([json.dumps(one.detail, ensure_ascii=False) for one in ordered], pa.string()),
        }
    )
    part = path.with_name(f"{path.name}.part")
    pq.write_table(table, part, compression="zstd")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
