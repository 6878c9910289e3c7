"""Rows of a run's data whose label is likely wrong: runs/ID/suspects.parquet, the likeliest first.

Written once by worker.check_labels; read page by page. What was made of a suspect since is not in here: a correction is in the data
set's journal or in a later version, "it is right" among its marks.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# That are looked at of a data set: of more, so many at random. Words where entities are marked.
MOST_ROWS, MOST_WORDS = 50_000, 100_000
GROUP = 1024
_SUMMARY = b"headstart"


@dataclass(frozen=True)
class Suspect:
    """One row. `suggested`: the label that the others of its kind have, `p_suggested` and `p_label` what speaks for either, 0 to 1.
    `second`: the other text of a pair. Where a text may have several labels, `label` and `suggested` are all of them, a|b, and
    `about` is the one that is too many in `label` or missing there. Where the label is a number, nothing has a probability; `off` says
    how many times as far from what is predicted it is as usual. Where entities are marked, `label` and `suggested` are whole cells, and
    `entities` has those that are doubted, "now" and "suggested": {"words": "Berlin=LOC", "spans": [[start, end, type]]} in code points
    of the text, and the spans of the "others"."""

    row_id: int
    part: str
    text: str
    label: str
    suggested: str
    p_label: float | None
    p_suggested: float | None
    second: str = ""
    about: str = ""
    off: float | None = None
    entities: dict[str, Any] | None = None


@dataclass(frozen=True)
class Summary:
    """`rows`: that the run used; `looked_at`: of these, in which it was searched. `likely`: about how many labels are wrong (of numbers: are further off than usual misses explain); the file
    has more, for their order is surer than their number. `by`: what judged; `notes`: sentences on what was left out."""

    rows: int
    looked_at: int
    likely: int
    seconds: float
    by: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    items: list[dict[str, Any]]
    total: int
    summary: Summary


def write(path: Path, suspects: Sequence[Suspect], summary: Summary) -> None:
    """Writes aside and renames; the order is kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        int: pa.int64(),
        str: pa.string(),
        float | None: pa.float64(),
        dict[str, Any] | None: pa.string(),
    }
    fields = {name: types[kind] for name, kind in Suspect.__annotations__.items()}
    columns = {name: [getattr(one, name) for one in suspects] for name in fields}
    columns["entities"] = [one and json.dumps(one, ensure_ascii=False) for one in columns["entities"]]
    arrays = [pa.array(columns[name], fields[name]) for name in fields]
    said = {_SUMMARY: json.dumps(vars(summary), ensure_ascii=False).encode()}
    table = pa.Table.from_arrays(arrays, schema=pa.schema(list(fields.items()), metadata=said))
    part = path.with_name(f"{path.name}.part")
    pq.write_table(table, part, compression="zstd", row_group_size=GROUP)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)


def page(path: Path, offset: int = 0, limit: int = 50) -> Page:
    """Items `offset` … `offset + limit`: the fields of Suspect. Raises FileNotFoundError."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        summary = Summary(**json.loads(file.schema_arrow.metadata[_SUMMARY]))
        total = file.metadata.num_rows
        items = file.read().slice(offset, limit).to_pylist()
    missing = {"about": "", "off": None, "entities": None}  # in a file of before
    items = [{**missing, **item} for item in items]
    for item in items:
        item["entities"] = item["entities"] and json.loads(item["entities"])
    return Page(items, total, summary)
