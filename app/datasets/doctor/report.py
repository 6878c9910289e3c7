"""A finished examination as it is looked at: the list, the rows of a finding, the step of a fix, what was marked."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.core.errors import NotFound
from app.core.files import read_json
from app.datasets import rows as parquet
from app.datasets.doctor.examine import FINDINGS_FILE
from app.datasets.rows import LINE, ROW_ID
from app.datasets.steps import Step, parse_step

if TYPE_CHECKING:
    import numpy as np
    import pyarrow


class Report:
    """What lies in the folder of an examination of the rows in `version`. `marks`: the data set's folder of marks."""

    def __init__(self, version: Path, out: Path, marks: Path) -> None:
        self._version, self._out, self._marks = version, out, marks
        self.told: dict[str, Any] = read_json(out / FINDINGS_FILE)

    def findings(self) -> list[dict[str, Any]]:
        """As the API lists them: the worst first, those that were marked last."""
        found = [
            {**one, "marked": self._is_marked(one), "fixes": [_shown(fix) for fix in one["fixes"]]}
            for one in self.told["findings"]
        ]
        return sorted(found, key=lambda one: one["marked"])

    def rows(self, finding: str, offset: int, limit: int, query: str = "") -> dict[str, Any]:
        """A page of the finding's rows, those of a group together; `query`: only rows with this in one of their cells.

        Raises NotFound.
        """
        self._one(finding)
        table = self._rows(finding)
        if query:
            table = table.take(_matching(self._version, table, query))
        page = table.slice(offset, limit).to_pylist()
        cells = parquet.read_at(self._version, [one["position"] for one in page])
        items = []
        for one in page:
            row = dict(cells[one["position"]])
            row_id, line = row.pop(ROW_ID), row.pop(LINE)
            items.append(
                {
                    "row_id": row_id,
                    "line": line,
                    "group": one["group"],
                    "role": one["role"],
                    "note": one["note"],
                    "cells": row,
                }
            )
        return {"finding": finding, "offset": offset, "total": len(table), "items": items}

    def step(self, finding: str, fix: str) -> Step:
        """The step that a fix is. Raises NotFound."""
        one = self._one(finding)
        chosen = next((each for each in one["fixes"] if each["id"] == fix), None)
        if chosen is None:
            there = ", ".join(each["id"] for each in one["fixes"])
            raise NotFound(f"The finding {finding!r} has no fix {fix!r}; there is {there or 'none'}.")
        step = dict(chosen["step"])
        if chosen["of"] is not None:
            table = self._rows(finding)
            ids, roles = table["row_id"].to_pylist(), table["role"].to_pylist()
            step["rows"] = [row for row, role in zip(ids, roles, strict=True) if chosen["of"] in ("", role)]
        return parse_step(step)

    def mark(self, finding: str, marked: bool) -> None:
        """Remembers that the user has looked at the rows of a finding, through all versions; or forgets it. Raises NotFound."""
        import numpy as np

        self._one(finding)
        path = self._marks / f"{finding}.npy"
        if not marked:
            path.unlink(missing_ok=True)
            return
        self._marks.mkdir(exist_ok=True)
        part = self._marks / f".{finding}.{secrets.token_hex(4)}.part"
        with part.open("wb") as file:
            np.save(file, np.sort(self._ids(finding)), allow_pickle=False)
        os.replace(part, path)

    def _is_marked(self, one: Mapping[str, Any]) -> bool:
        """Whether all its rows are those that were looked at: a finding that has got another one shows again."""
        import numpy as np

        path = self._marks / f"{one['id']}.npy"
        if not path.is_file():
            return False
        return bool(np.isin(self._ids(one["id"]), np.load(path, allow_pickle=False)).all())

    def _one(self, finding: str) -> dict[str, Any]:
        for one in self.told["findings"]:
            if one["id"] == finding:
                return dict(one)
        raise NotFound(f"There is no finding {finding[:80]!r} in this version. Look at the findings again.")

    def _ids(self, finding: str) -> "np.ndarray":
        found: np.ndarray = self._rows(finding)["row_id"].to_numpy()
        return found

    def _rows(self, finding: str) -> "pyarrow.Table":
        import pyarrow.parquet as pq

        return pq.read_table(self._out / f"{finding}.parquet")


def _shown(fix: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": fix["id"], "title": fix["title"], "changes": fix["changes"], "kind": fix["step"]["kind"]}


def _matching(version: Path, table: "pyarrow.Table", query: str) -> "np.ndarray":
    """The places in `table` of rows that hold the query in one of their cells, capital letters aside."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(np.unique(table["position"].to_numpy()))
    hits: list[np.ndarray] = []
    first = 0
    for block in parquet.blocks(version):
        here = pa.array(range(first, first + len(block)), pa.int64())
        among = pc.is_in(here, value_set=wanted)
        first += len(block)
        if not pc.any(among).as_py():
            continue
        block, here = block.filter(among), here.filter(among)
        found = np.zeros(len(block), bool)
        for name in block.column_names:
            if name not in (ROW_ID, LINE):
                found |= pc.match_substring(block[name], query, ignore_case=True).to_numpy()
        hits.append(here.to_numpy()[found])
    return np.flatnonzero(np.isin(table["position"].to_numpy(), np.concatenate(hits) if hits else []))
