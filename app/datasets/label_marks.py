"""Labels that somebody has looked at and found right: datasets/ID/marks/labels.json, {row id: label}.

They are the data set's and not a run's, so that the next run does not ask again; a label that changes later is another one, and
its mark no longer holds.
"""

import fcntl
from pathlib import Path

from app.core.files import Files, read_json, write_json

FILE = "labels.json"


def right_labels(files: Files, dataset_id: str) -> dict[int, str]:
    """The label that was found right, by row id."""
    try:
        known = read_json(_path(files, dataset_id))
    except FileNotFoundError:
        return {}
    return {int(row): label for row, label in known.items()}


def mark(files: Files, dataset_id: str, row_id: int, label: str | None) -> None:
    """Remembers that `label` is right for the row; None forgets it. Durable when it returns."""
    path = _path(files, dataset_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = right_labels(files, dataset_id)
        known.pop(row_id, None)
        if label is not None:
            known[row_id] = label
        write_json(path, {str(row): label for row, label in sorted(known.items())})


def _path(files: Files, dataset_id: str) -> Path:
    return files.dataset(dataset_id) / "marks" / FILE
