"""Models that have seen the labels of a data set: who reads its texts for a search must be none of them, for it finds right what it learned."""

from pathlib import Path

from sqlalchemy import select
from sqlmodel import col

from app.core import runs
from app.core.db import Database
from app.core.tables import Run
from app.models.finished import folder_sha256
from app.tasks import TASKS


def learned_from(database: Database, folder: Path, dataset: str) -> str | None:
    """The name of the run that learned from labels of `dataset` and whose weights the folder holds, itself or through runs that began
    with it; None if no run of this data folder is known to have. Reads all weights (a second for 500 MB)."""
    with database.read() as session:
        if (
            session.execute(select(col(Run.id)).where(col(Run.weights_sha256).is_not(None)).limit(1)).first()
            is None
        ):
            return None
    weights = folder_sha256(folder)
    with database.read() as session:
        for run in session.execute(select(Run).where(col(Run.weights_sha256) == weights)).scalars().all():
            for one in (run, *runs.ancestors(session, run.id)):
                known = TASKS.get(one.task)
                if one.dataset_id == dataset and known is not None and known.labels_a_row != "none":
                    return str(one.name or one.id)
    return None
