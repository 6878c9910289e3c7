"""The queue: Celery messages by task name, so that nothing under app/ imports the worker.

A message is only a wake-up; the database decides which run is next (app.core.queue_order) and who gets it (app.core.attempts.claim).
So a lost message is sent again by the reconciler, and one delivered twice does nothing.
"""

from typing import TYPE_CHECKING, Any

from app.core.errors import Unavailable
from app.core.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

RUNS, PREDICT = "runs", "predict"  # queues
ACCEPT_SECONDS = 5.0  # a broker that takes longer to accept a message counts as gone
RUN_TASK, PREDICT_TASK = "headstart.run", "headstart.predict"


def make_celery(settings: Settings) -> "Celery":
    """A Celery application on the configured broker, the same for those who send and those who work."""
    from celery import Celery

    celery = Celery("headstart", broker=settings.broker)
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # Early acknowledgement, one message at a time: with acks_late a child that always dies loops for ever.
        task_acks_late=False,
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        task_default_queue=RUNS,
        task_routes={RUN_TASK: {"queue": RUNS}, PREDICT_TASK: {"queue": PREDICT}},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": 3.0, "visibility_timeout": 3600},
    )
    return celery


class Queue:
    """Sends messages. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._celery: Celery | None = None

    def wake(self, run_id: str) -> None:
        """Tells the worker that a run waits. Raises Unavailable if the broker does not answer."""
        self._send(RUN_TASK, {"run_id": run_id})

    def ask(self, message: dict[str, Any], expires: float) -> None:
        """Sends a question to the predictor, dropped when nobody takes it within `expires` seconds."""
        self._send(PREDICT_TASK, message, expires=expires)

    def _send(self, task: str, arguments: dict[str, Any], **options: Any) -> None:
        import kombu.exceptions
        import redis

        if self._celery is None:
            celery = make_celery(self._settings)
            # Only for who sends: a worker waits for its next message longer than this.
            celery.conf.broker_transport_options["socket_timeout"] = ACCEPT_SECONDS
            self._celery = celery
        try:
            self._celery.send_task(task, kwargs=arguments, ignore_result=True, retry=False, **options)
        except (kombu.exceptions.OperationalError, redis.RedisError, OSError) as error:
            raise Unavailable(
                f"The message queue does not answer ({error}). Queued runs start when it is back."
            ) from error
