"""Files that wait to be predicted: each gets a process, worker.predict_file."""

from functools import partial

from sqlmodel import Session

from app.core import file_predictions
from worker.side_jobs import Job, SideJobs


class FileJobs(SideJobs):
    name = "files"

    def waiting(self, session: Session, now: float) -> bool:
        return file_predictions.waiting(session, now)

    def claim(self, session: Session, now: float) -> Job | None:
        claimed = file_predictions.claim(session, now)
        if claimed is None:
            return None
        found, attempt = claimed
        return Job(
            "worker.predict_file",
            (found.id, str(attempt)),
            self.files.predicted(found.run_id, found.id) / "log.txt",
            partial(_renew, file_id=found.id, attempt=attempt),
        )


def _renew(session: Session, now: float, file_id: str, attempt: int) -> None:
    file_predictions.record(session, file_id, attempt, now)
