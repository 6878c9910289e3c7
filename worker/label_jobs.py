"""Runs whose data is to be searched for wrong labels: each gets a process, worker.check_labels."""

from functools import partial

from sqlmodel import Session

from app.core import label_checks
from worker.side_jobs import Job, SideJobs


class LabelJobs(SideJobs):
    name = "searches for wrong labels"

    def waiting(self, session: Session, now: float) -> bool:
        return label_checks.waiting(session, now)

    def claim(self, session: Session, now: float) -> Job | None:
        claimed = label_checks.claim(session, now)
        if claimed is None:
            return None
        run_id, attempt = claimed
        return Job(
            "worker.check_labels",
            (run_id, str(attempt)),
            self.files.run(run_id) / "label-check.txt",
            partial(_renew, run_id=run_id, attempt=attempt),
        )


def _renew(session: Session, now: float, run_id: str, attempt: int) -> None:
    label_checks.record(session, run_id, attempt, now)
