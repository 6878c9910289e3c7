"""The tables. Times are Unix seconds (float, UTC); the web layer shows them as RFC 3339.

Two rows are written by many processes at once, `run` and its children; app.core.runs and
app.core.attempts are the only places that write them.
"""

from typing import Any, Literal

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

DatasetState = Literal["reading", "ready", "failed"]
RunState = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
FINAL_STATES = ("succeeded", "failed", "cancelled")


def _json(nullable: bool = True) -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=nullable))


class Dataset(SQLModel, table=True):
    """A file that somebody uploaded; its content lives in versions. `version` is the current one, which undo moves back.

    reading ──▶ ready        the file was read into rows of version `version`
       └──────▶ failed       it could not be; `error` says why and the original is kept
    ready or failed ──▶ reading    read again with other options (encoding, header, ragged rows)
    """

    id: str = Field(primary_key=True)
    name: str
    state: str = "reading"
    version: int = 1
    bytes: int = 0
    bytes_read: int = 0
    created_at: float
    options: dict[str, Any] = _json()
    error: dict[str, Any] | None = _json()


class DatasetVersion(SQLModel, table=True):
    """Rows that never change again. `sha256` is over the rows' content (row ids and cells).

    `parent` is the version that `step` made this one of; both None for what came out of the file. A step is
    {"kind", "title", "removed", "changed", "added", "finding"}, and "edits" if it was saved from such a journal
    (app/datasets/journal.py); all of it, with its rows, is in vN/step.json.
    """

    __tablename__ = "dataset_version"

    dataset_id: str = Field(primary_key=True, foreign_key="dataset.id", ondelete="CASCADE")
    version: int = Field(primary_key=True)
    rows: int
    columns: list[str] = _json(nullable=False)
    sha256: str
    created_at: float
    parent: int | None = None
    step: dict[str, Any] | None = _json()


class Run(SQLModel, table=True):
    """One fine-tuning run; the states and moves are drawn in app.core.runs.

    `attempt` with `lease_until` is the fence: a trainer writes only while both are its own.
    `event_seq` is the last sequence number given to an event of this run; it never goes back.
    `failures` counts self-inflicted ends since the last progress. `parent_id` is the run whose model this one began
    with (spec.model "run:ID"), `parent_sha256` that model's weights; `weights_sha256` are those of its own download.
    `priority` and `queued_at` give its place in the queue (app.core.line); `worker_id`: who claimed it last.
    `corrects_id`: the run that this one repeats on corrected data, as long as that one is there.
    """

    __table_args__ = (Index("ix_run_state", "state", "created_at"),)

    id: str = Field(primary_key=True)
    name: str
    dataset_id: str = Field(foreign_key="dataset.id", index=True)
    dataset_version: int
    dataset_sha256: str
    task: str
    spec: dict[str, Any] = _json(nullable=False)
    state: str = "queued"
    attempt: int = 0
    lease_until: float | None = None
    cancel_requested: bool = False
    failures: int = 0
    pid: int | None = None
    pid_started: float | None = None
    phase: str = ""
    step: int = 0
    steps: int = 0
    epoch: float = 0.0
    examples_per_second: float | None = None
    eta_seconds: float | None = None
    best_step: int | None = None
    checkpoint_step: int = 0
    pause_requested: bool = False
    priority: int = 0
    queued_at: float = 0.0
    worker_id: str | None = None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    event_seq: int = 0
    metrics: dict[str, Any] | None = _json()
    baselines: dict[str, Any] | None = _json()
    results: dict[str, Any] | None = _json()
    error: dict[str, Any] | None = _json()
    parent_id: str | None = Field(default=None, foreign_key="run.id", index=True)
    parent_sha256: str | None = None
    weights_sha256: str | None = None
    corrects_id: str | None = Field(default=None, foreign_key="run.id", ondelete="SET NULL", index=True)


class Worker(SQLModel, table=True):
    """A process that takes runs from the queue, while it is there; see app.core.workers.

    `id` is new with each process; `pid` with `pid_started` say which process it is, on `host`, to those with the same `pid_space`
    (containers number their processes themselves). It trains up to `slots` runs at a time.
    """

    id: str = Field(primary_key=True)
    host: str
    pid: int
    pid_started: float
    pid_space: str = Field(default="", sa_column_kwargs={"server_default": ""})
    slots: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    started_at: float
    heard_at: float


class Point(SQLModel, table=True):
    """One value of one curve. `step` is the optimiser step, from 1; a NaN is stored as NULL."""

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    series: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    value: float | None
    time: float


class Event(SQLModel, table=True):
    """What the live view follows: kinds point, state, log, sample, rewind. (run_id, seq) is the SSE id."""

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    kind: str
    payload: dict[str, Any] = _json(nullable=False)
    time: float


class FilePrediction(SQLModel, table=True):
    """A file that is predicted row by row with the model of a run; moves are in app.core.file_predictions.

    Its files are in runs/RUN/files/ID/: original, result.csv. `columns`: role → column, empty until the user has
    said. `done` of `rows` (None until the file was read). `lease_until` with `attempt` is the fence, as with runs.
    """

    __tablename__ = "file_prediction"

    id: str = Field(primary_key=True)
    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE", index=True)
    name: str
    columns: dict[str, str] = _json(nullable=False)
    state: str = "queued"
    attempt: int = 0
    lease_until: float | None = None
    cancel_requested: bool = False
    failures: int = 0
    rows: int | None = None
    done: int = 0
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: dict[str, Any] | None = _json()


class LabelCheck(SQLModel, table=True):
    """The search for likely wrong labels in the data of a finished run; moves are in app.core.label_checks.

    What it found is in runs/RUN/suspects.parquet. `progress`: 0 to 1; `phase`: what it does, for the page. `model`: the
    pre-trained model that reads the texts, "" for that of the run. `lease_until` with `attempt` is the fence, as with runs.
    """

    __tablename__ = "label_check"

    run_id: str = Field(primary_key=True, foreign_key="run.id", ondelete="CASCADE")
    state: str = "queued"
    attempt: int = 0
    lease_until: float | None = None
    cancel_requested: bool = False
    failures: int = 0
    phase: str = ""
    progress: float = 0.0
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    model: str = Field(default="", sa_column_kwargs={"server_default": ""})
    error: dict[str, Any] | None = _json()
