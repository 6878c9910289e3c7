"""One examination: all checks over all rows of a version, and what they found on the disk.

In the folder of the examination: findings.json (what the API lists), FINDING.parquet for the rows of each (position,
row_id, group, role, note), and progress.json while it works.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.core.files import read_json
from app.datasets import rows as parquet
from app.datasets.doctor import CHECKS
from app.datasets.doctor.base import Asked, Block, Check, Found, Rows
from app.datasets.doctor.languages import Languages
from app.datasets.doctor.lengths import Lengths
from app.datasets.ingest import PROFILE_FILE
from app.datasets.rows import ROW_ID

FINDINGS_FILE, PROGRESS_FILE = "findings.json", "progress.json"
_ORDER = {"error": 0, "warning": 1, "note": 2}
_READING = 0.85  # of the progress; the rest is comparing

Progress = Callable[[float, str], None]


def examine(version: Path, out: Path, asked: Asked, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Examines the rows in the folder `version`, leaves the findings in `out` and returns them.

    `progress` is called with the share that is done and what goes on, and may raise to stop.
    """
    began = time.monotonic()
    profile = read_json(version / PROFILE_FILE)["columns"]
    count = parquet.count(version)
    checks = [check(asked, profile, count) for check in CHECKS]
    found: list[Found] = []
    try:
        rows = _read(version, asked, checks, count, progress)
        for number, check in enumerate(checks):
            progress(_READING + (1 - _READING) * number / len(checks), check.doing)
            found += check.finish(rows)
    finally:
        for check in checks:
            check.close()
    found.sort(key=lambda one: (_ORDER[one.severity], -one.count, one.id))
    out.mkdir(exist_ok=True)
    ids = _row_ids(version, count)
    for one in found:
        _write_rows(out / f"{one.id}.parquet", one, ids)
    told = {
        "asked": asdict(asked),
        "rows": count,
        "seconds": round(time.monotonic() - began, 2),
        "findings": [_as_dict(one) for one in found],
        "lengths": next(check.told for check in checks if isinstance(check, Lengths)),
        "languages": next(check.mix for check in checks if isinstance(check, Languages)),
    }
    _write(out / FINDINGS_FILE, json.dumps(told, ensure_ascii=False, allow_nan=False))
    return told


def say_progress(out: Path, share: float, doing: str) -> None:
    """Leaves the progress for whoever asks. Raises FileNotFoundError when the folder is gone: the data set was deleted."""
    _write(out / PROGRESS_FILE, json.dumps({"progress": round(share, 3), "doing": doing}))


def _write(path: Path, text: str) -> None:
    """Aside and renamed. No folder is made: that of a deleted data set must not come back."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _read(version: Path, asked: Asked, checks: list[Check], count: int, progress: Progress) -> Rows:
    rows, first = Rows(count, asked), 0
    wanted = list(dict.fromkeys([*asked.columns, *([asked.part] if asked.part else [])]))
    for table in parquet.blocks(version, wanted):
        block = Block(table, first, asked)
        rows.add(block)
        for check in checks:
            check.add(block)
        first += len(block)
        progress(_READING * first / max(1, count), "reading all rows")
    return rows


def _row_ids(version: Path, count: int) -> Any:
    import numpy as np

    ids, first = np.zeros(count, np.int64), 0
    for table in parquet.blocks(version, []):
        ids[first : first + len(table)] = table[ROW_ID].to_numpy()
        first += len(table)
    return ids


def _as_dict(found: Found) -> dict[str, Any]:
    return {
        "id": found.id,
        "severity": found.severity,
        "title": found.title,
        "message": found.message,
        "count": found.count,
        "columns": list(found.columns),
        "rows": len(found.positions),
        "fixes": [_fix(asdict(one)) for one in found.fixes],
    }


def _fix(fix: Mapping[str, Any]) -> dict[str, Any]:
    return {**fix, "step": dict(fix["step"])}


def _write_rows(path: Path, found: Found, ids: Any) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    positions = np.asarray(found.positions, np.int64)
    rows = len(positions)
    groups = np.asarray(found.groups if len(found.groups) else np.arange(rows), np.int64)
    table = pa.table(
        {
            "position": pa.array(positions),
            "row_id": pa.array(ids[positions]),
            "group": pa.array(groups),
            "role": pa.array(list(found.roles) or [""] * rows, pa.string()),
            "note": pa.array(list(found.notes) or [""] * rows, pa.string()),
        }
    )
    pq.write_table(table, path, compression="zstd")
