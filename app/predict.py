"""Inference without torch in this process: the question goes to the predictor over the broker, the answer comes
back on a list of its own that expires soon."""

import json
import secrets
import time
from typing import Any

from app.broker import redis_client
from app.core.errors import HeadstartError, Invalid, Unavailable
from app.core.settings import Settings
from app.queue import Queue

ANSWER_SECONDS = 60  # how long an answer that nobody fetched stays in the broker

# A model of 100 M parameters reads a long text in some 0.3 s on two cores; a busy machine is slower.
PATIENCE_SECONDS, PATIENCE_AN_INPUT = 60.0, 0.5


class Predictor:
    """Asks the predictor process. Safe to share between threads; `predict` blocks."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._settings = settings
        self._queue = queue

    def predict(self, run_id: str, inputs: list[Any], timeout: float | None = None) -> list[dict[str, Any]]:
        """One output per input, in order, by the finished model of `run_id`. `timeout` None: by their number.

        Raises Unavailable if no answer comes within `timeout` seconds; Invalid if the model can't take an input.
        """
        import redis

        if timeout is None:
            timeout = PATIENCE_SECONDS + PATIENCE_AN_INPUT * len(inputs)
        key = f"headstart:answer:{secrets.token_hex(16)}"
        deadline = time.time() + timeout
        message = {"run_id": run_id, "inputs": inputs, "reply_to": key, "deadline": deadline}
        self._queue.ask(message, expires=timeout)
        try:
            with redis_client(self._settings, timeout=timeout + 5) as client:
                found = client.blpop([key], timeout=timeout)
        except (redis.RedisError, OSError) as error:
            raise Unavailable(f"The message queue does not answer ({error}). Try again.") from error
        if found is None:
            raise Unavailable(
                f"The predictor did not answer within {timeout:.0f} s. It may still be starting: try again."
            )
        answer = json.loads(found[1])
        if "error" in answer:
            kind = answer["error"]["kind"]
            fault = HeadstartError if kind == "bug" else Invalid
            raise fault(answer["error"]["message"], answer["error"]["problems"], kind)
        outputs: list[dict[str, Any]] = answer["outputs"]
        return outputs
