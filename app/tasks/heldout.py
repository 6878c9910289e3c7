"""The held-out rows of a finished run with what the model made of them: runs/ID/heldout.parquet.

Written once by the trainer, the worst rows first; read page by page for the error browser and its download.
"""

import json
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FILE = "heldout.parquet"
GROUP = 4096  # rows that are read together: a page needs one or two such groups
SEARCHED = ("text", "truth", "predicted")


@dataclass(frozen=True)
class Prediction:
    """One held-out row.

    `wrong`: whether it is a mistake (for figures without right and wrong: whether it is among the worst). `badness`: the
    worst come first. `classes`: what one can filter by (its true and predicted labels, its entity types). `detail`: what
    the page needs to draw it, as JSON. `tokens`: how many of them the model read of it, where the task tells.
    """

    row_id: int
    text: str
    truth: str
    predicted: str
    wrong: bool
    badness: float
    classes: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    tokens: int | None = None


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
            "tokens": pa.array([one.tokens for one in ordered], pa.int64()),
        }
    )
    part = path.with_name(f"{path.name}.part")
    pq.write_table(table, part, compression="zstd", row_group_size=GROUP)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


@dataclass(frozen=True)
class Filter:
    """Which rows to see. `query`: a part of the text, the truth or the prediction, whatever its case. `truth`, `predicted`:
    exactly this label, and exactly this one taken for it."""

    klass: str | None = None
    query: str = ""
    only_wrong: bool = False
    truth: str | None = None
    predicted: str | None = None


@dataclass(frozen=True)
class Page:
    """Some rows of those that pass the filter, worst first.

    `total`: how many pass. `classes`: (class, rows that pass the rest of the filter), the most frequent first. `rows` and
    `wrong`: of the whole file.
    """

    items: list[dict[str, Any]]
    total: int
    classes: list[tuple[str, int]]
    rows: int
    wrong: int


def page(path: Path, chosen: Filter, offset: int = 0, limit: int = 50) -> Page:
    """Items `offset` … `offset + limit` of those that pass: the fields of Prediction. Raises FileNotFoundError."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        marks = file.read(columns=["wrong", "classes"]).combine_chunks()
        candidates = _matching(file, marks, chosen)
        places, classes = _of_class(marks, candidates, chosen.klass)
        shown = places[offset : offset + limit]
        items = [item for batch in _batches(file, shown) for item in batch]
    wrong = int(pc.sum(marks.column("wrong")).as_py() or 0)
    return Page(items, len(places), classes, len(marks), wrong)


def stream(path: Path, chosen: Filter) -> Iterator[list[dict[str, Any]]]:
    """All rows that pass, worst first, a group at a time: memory holds one group. Raises FileNotFoundError."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        marks = file.read(columns=["wrong", "classes"]).combine_chunks()
        places, _ = _of_class(marks, _matching(file, marks, chosen), chosen.klass)
        yield from _batches(file, places)


def _matching(file: "pq.ParquetFile", marks: "pa.Table", chosen: Filter) -> "pa.Array":
    """The row numbers that pass all but the class."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = (
        marks.column("wrong").combine_chunks()
        if chosen.only_wrong
        else pa.array([True] * len(marks), pa.bool_())
    )
    if chosen.query:
        found = pa.array([False] * len(marks), pa.bool_())
        for name in SEARCHED:
            column = file.read(columns=[name]).column(name)
            hit = pc.match_substring(column, chosen.query, ignore_case=True)
            found = pc.or_(found, pc.fill_null(hit.combine_chunks(), False))
        mask = pc.and_(mask, found)
    for name, wanted in (("truth", chosen.truth), ("predicted", chosen.predicted)):
        if wanted is not None:
            column = file.read(columns=[name]).column(name).combine_chunks()
            mask = pc.and_(mask, pc.fill_null(pc.equal(column, wanted), False))
    return pc.indices_nonzero(mask)


def _of_class(
    marks: "pa.Table", candidates: "pa.Array", klass: str | None
) -> tuple[list[int], list[tuple[str, int]]]:
    """Those of `candidates` that have the class, and how many of them have each class."""
    import pyarrow.compute as pc

    lists = marks.column("classes").combine_chunks().take(candidates)
    flat, owner = pc.list_flatten(lists), pc.list_parent_indices(lists)
    counted = Counter({one["values"]: one["counts"] for one in pc.value_counts(flat).to_pylist()})
    classes = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    if klass is not None:
        candidates = candidates.take(pc.unique(owner.filter(pc.equal(flat, klass))))
    places: list[int] = candidates.to_pylist()
    return places, classes


def _batches(file: "pq.ParquetFile", places: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    """The rows at `places` (ascending), those of one row group at a time."""
    first, done = 0, 0
    for group in range(file.num_row_groups):
        if done == len(places):
            return
        last = first + file.metadata.row_group(group).num_rows
        end = bisect_left(places, last, done)
        here = [place - first for place in places[done:end]]
        if here:
            rows = file.read_row_group(group).take(here).to_pylist()
            yield [{**row, "detail": json.loads(row["detail"])} for row in rows]
        done = end
        first = last
