"""The Celery processes: `python -m worker.celery_app runs` supervises trainers, `… predict` answers questions.

Two processes, so that "try it" never waits behind a training run.
"""

import sys
from typing import Any

from celery import signals

from app.core.db import Database
from app.core.logs import log_to
from app.core.migrate import migrate
from app.core.settings import Settings
from app.queue import PREDICT, RUNS, make_celery
from worker import jobs


def main() -> None:
    """Runs until SIGTERM. The one argument is the queue: runs or predict."""
    queue = sys.argv[1]
    settings = Settings()
    log_to(settings.home / "logs" / f"{'worker' if queue == RUNS else 'predictor'}.log")
    migrate(Database(settings.database))
    celery = make_celery(settings)
    if queue == RUNS:
        # A slot is a thread: it only supervises a trainer process. One slot, one trainer at a time.
        hooks, at_once = jobs.register_runs(celery, settings)
        pool = "threads"
    elif queue == PREDICT:
        hooks, at_once = jobs.register_predict(celery, settings), 1
        pool = "solo"
    else:
        raise SystemExit(f"no queue {queue!r}: runs or predict")

    def ready(**_: Any) -> None:
        hooks.start()

    def stopping(**_: Any) -> None:
        hooks.stop()

    signals.worker_ready.connect(ready)
    signals.worker_shutting_down.connect(stopping)
    celery.worker_main(
        [
            "worker",
            *("--queues", queue, "--pool", pool, "--concurrency", str(at_once)),
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
            *("--hostname", f"{queue}@%h"),
        ]
    )


if __name__ == "__main__":
    main()
