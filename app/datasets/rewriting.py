"""The rows of the next version out of those of the current one: a step over all blocks, counted and profiled on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.errors import Conflict
from app.core.files import read_json, write_json
from app.datasets import rows as parquet
from app.datasets.column_findings import of_columns
from app.datasets.ingest import PROFILE_FILE
from app.datasets.profile import Profile
from app.datasets.rows import LINE, ROW_ID, RowsWriter
from app.datasets.steps import Step

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Counts:
    """What a step does, in rows. `after`: how many rows there are then."""

    removed: int = 0
    changed: int = 0
    added: int = 0
    after: int = 0

    @property
    def touched(self) -> int:
        return self.removed + self.changed + self.added


def blocks(source: Path, step: Step) -> "Iterator[pyarrow.Table]":
    """All blocks of a version. Raises Conflict behind the last one if rows that the step needs were in none."""
    import numpy as np

    needed = step.needs
    seen = np.zeros(len(needed), bool)
    for block in parquet.blocks(source):
        if len(needed):
            ids = block[ROW_ID].to_numpy()
            place = np.searchsorted(ids, needed)  # ids ascend
            seen |= (place < len(ids)) & (ids[np.minimum(place, len(ids) - 1)] == needed)
        yield block
    missing = needed[~seen]
    if len(missing):
        one = len(missing) == 1
        names = ", ".join(str(row) for row in missing[:5].tolist()) + (" …" if len(missing) > 5 else "")
        message = (
            f"{'is no row' if one else 'are no rows'} of this version, by row id; look at the rows again"
        )
        raise Conflict.from_problems(
            "The step can't be done", [{"where": f"{'row' if one else 'rows'} {names}", "message": message}]
        )


def rewrite(source: Path, folder: Path, columns: list[str], step: Step, first: int) -> tuple[Counts, str]:
    """rows.parquet and profile.json of the next version, which has `columns`; returns (counts, content hash). `first`: the id of the first new row."""
    before = read_json(source / PROFILE_FILE)
    profile, writer = Profile(columns, before.get("kind", "csv")), RowsWriter(folder, columns)
    counts = Counts()
    try:
        for block in blocks(source, step):
            changed = step.change(block)
            counts = counted(counts, block, changed)
            _keep(changed, writer, profile, columns)
        new = step.added(columns)
        if new:
            _keep(_table(new, columns, first), writer, profile, columns)
        counts = replace(counts, added=len(new), after=counts.after + len(new))
        if not counts.touched:
            raise Conflict("That changes no row: the data set is like this already.")
        if not counts.after:
            raise Conflict("That would leave no row at all.")
        profile.finish()
        # What was said of the file stays true; what was said of columns is looked at anew.
        kept = [one for one in before["problems"] if not one["where"].startswith("column ")]
        write_json(folder / PROFILE_FILE, {**profile.as_dict(), "problems": [*kept, *of_columns(profile)]})
        return counts, writer.finish()
    except BaseException:
        writer.abort()
        raise


def next_row_id(dataset_folder: Path) -> int:
    """Greater than that of any row of any version: an id that was given once never means another row."""
    import pyarrow.parquet as pq

    highest = -1
    for path in dataset_folder.glob(f"v*/{parquet.ROWS_FILE}"):
        with pq.ParquetFile(path) as file:  # ids ascend
            last = file.read_row_group(file.metadata.num_row_groups - 1, columns=[ROW_ID])[ROW_ID]
        highest = max(highest, last[-1].as_py())
    return highest + 1


def _keep(block: "pyarrow.Table", writer: RowsWriter, profile: Profile, columns: list[str]) -> None:
    if not len(block):
        return
    writer.write_table(block)
    profile.add([block[name].to_pylist() for name in columns], block[LINE].to_pylist())


def counted(counts: Counts, before: "pyarrow.Table", after: "pyarrow.Table") -> Counts:
    import pyarrow.compute as pc

    removed = len(before) - len(after)
    if removed:
        before = before.filter(pc.is_in(before[ROW_ID], value_set=after[ROW_ID].combine_chunks()))
    differs = None
    for name in after.column_names:
        if name in before.column_names:
            if after[name] is before[name] or after[name].equals(before[name]):
                continue
            one = pc.not_equal(after[name], before[name])
        else:
            one = pc.is_valid(after[name])  # a column that came
        differs = one if differs is None else pc.or_(differs, one)
    changed = 0 if differs is None else int(pc.sum(differs).as_py() or 0)
    return replace(
        counts,
        removed=counts.removed + removed,
        changed=counts.changed + changed,
        after=counts.after + len(after),
    )


def _table(new: Any, columns: list[str], first: int) -> "pyarrow.Table":
    import pyarrow as pa

    cells = {name: pa.array([row.get(name, "") for row in new], pa.string()) for name in columns}
    ids = pa.array(range(first, first + len(new)), pa.int64())
    return pa.table({ROW_ID: ids, LINE: pa.array([0] * len(new), pa.int64()), **cells})
