"""A data set as the JSON API shows it."""

from typing import Any

from app.core.clock import rfc3339
from app.core.tables import Dataset, DatasetVersion
from app.datasets.findings import Finding

# What `options` says until the file was read.
_UNDECIDED: dict[str, Any] = {
    "format": None,
    "encoding": None,
    "encoding_guessed": False,
    "delimiter": None,
    "header": None,
    "skip_ragged": False,
    "sheet": None,
    "files": None,
    "asked": {},
}


def summary(dataset: Dataset, version: DatasetVersion | None) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "state": dataset.state,
        "bytes": dataset.bytes,
        "bytes_read": dataset.bytes_read,
        "created_at": rfc3339(dataset.created_at),
        "version": dataset.version,
        "rows": version.rows if version else None,
        "columns": version.columns if version else None,
        "sha256": version.sha256 if version else None,
        "options": {**_UNDECIDED, **(dataset.options or {})},
        "error": dataset.error,
    }


def errors_of(dataset: Dataset) -> list[Finding]:
    if dataset.error is None:
        return []
    return [
        {"where": problem["where"], "message": problem["message"], "severity": "error"}
        for problem in dataset.error["problems"]
    ] or [{"where": "", "message": dataset.error["message"], "severity": "error"}]
