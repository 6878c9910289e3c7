"""The Celery tasks: thin. What they do is in supervisor.py and predictor.py."""

from typing import Any, Protocol

from celery import Celery

from app.core.settings import Settings
from app.queue import PREDICT_TASK, RUN_TASK


class Hooks(Protocol):
    """What a worker process does beside its tasks."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def register_runs(celery: Celery, settings: Settings) -> tuple[Hooks, int]:
    """The task that trains the run that is next, and the supervisor behind it, with how many runs it trains at a time."""
    from worker.supervisor import Supervisor

    supervisor = Supervisor(settings)

    @celery.task(name=RUN_TASK)  # type: ignore[untyped-decorator]
    def run(run_id: str) -> None:
        # A message only wakes: messages stand in the order of their sending, the queue may have another by now.
        supervisor.supervise()

    return supervisor, len(supervisor.slots)


def register_predict(celery: Celery, settings: Settings) -> Hooks:
    """The task that answers a question, the loaded models behind it, and what is done beside it."""
    from worker.file_jobs import FileJobs
    from worker.label_jobs import LabelJobs
    from worker.predictor import Answering

    answering = Answering(settings)

    @celery.task(name=PREDICT_TASK)  # type: ignore[untyped-decorator]
    def predict(**message: Any) -> None:
        answering.answer(**message)

    return Together(answering, FileJobs(settings), LabelJobs(settings))


class Together:
    """Several hooks as one."""

    def __init__(self, *hooks: Hooks) -> None:
        self._hooks = hooks

    def start(self) -> None:
        for one in self._hooks:
            one.start()

    def stop(self) -> None:
        for one in self._hooks:
            one.stop()
