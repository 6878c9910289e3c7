"""The doctor's look at what lies beside rows and weights: edits that are not saved, what a search found, the answers of predicted files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel, col

from app.care.findings import Report
from app.core.db import Database
from app.core.files import Files
from app.core.tables import Dataset, FilePrediction, LabelCheck, Run
from app.datasets import journal
from app.datasets.journal import EDITS_FILE

RESTORE = "Restore a backup (`headstart restore FILE --home DIR`)"
# What damaged lines raise: no JSON, another shape, an undo of nothing.
DAMAGED = (ValueError, KeyError, TypeError, IndexError, AttributeError)


def examine(database: Database, files: Files, report: Report) -> None:
    _edits(database, files, report)
    _searches(database, files, report)
    _answers(database, files, report)


def _edits(database: Database, files: Files, report: Report) -> None:
    with database.read() as session:
        ready = session.execute(select(col(Dataset.id), col(Dataset.name))).all()
    found = 0
    for dataset_id, name in ready:
        path = files.dataset(dataset_id) / EDITS_FILE
        try:
            kept = journal.read(path)
            if kept is not None:
                found += 1
                _ = kept.pending
        except DAMAGED as error:
            report.error(
                f"The edits of {name} that are not saved ({path}) can't be read ({type(error).__name__}). {RESTORE}, or move "
                "the file away: then the data set is as it was saved last."
            )
    report.checked.append(f"edits of {found} data sets that are not saved")


def _searches(database: Database, files: Files, report: Report) -> None:
    with database.read() as session:
        query = select(Run).join(LabelCheck, col(LabelCheck.run_id) == col(Run.id))
        done = list(session.execute(query.where(col(LabelCheck.state) == "succeeded")).scalars())
    for run in done:
        what = f"The rows that the search for wrong labels found in the data of {run.name!r} ({run.id})"
        again = "Look for them once more, on the run's page"
        look = partial(_read_table, files.suspects(run.id))
        _whole(look, what, again, report, database, (LabelCheck, run.id))
    report.checked.append(f"{len(done)} searches for wrong labels")


def _answers(database: Database, files: Files, report: Report) -> None:
    with database.read() as session:
        query = select(FilePrediction).where(col(FilePrediction.state) == "succeeded")
        done = list(session.execute(query).scalars())
    for one in done:
        path = files.predicted(one.run_id, one.id) / "result.csv"
        what = f"The answers for the file {one.name} (run {one.run_id})"
        again = "Delete it on the run's page and predict it again"
        _whole(path.stat, what, again, report, database, (FilePrediction, one.id))
    report.checked.append(f"answers for {len(done)} files")


def _read_table(path: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        table.read()


def _whole(
    look: Callable[[], object],
    what: str,
    again: str,
    report: Report,
    database: Database,
    record: tuple[type[SQLModel], Any],
) -> None:
    """Says it if `look` fails, unless the `record` was deleted meanwhile. These are made anew: no error."""
    try:
        look()
    except Exception as error:  # pyarrow has errors of its own
        with database.read() as session:
            if session.get(*record) is None:
                return
        how = "are missing" if isinstance(error, FileNotFoundError) else "can't be read"
        report.warning(f"{what} {how}. {again}.")
