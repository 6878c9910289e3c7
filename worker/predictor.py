"""Answers "try it" questions: loads finished models, keeps the last few, lets the task answer.

Runs in a Celery process of its own. The answer goes to the list `reply_to`, which expires soon.
"""

import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import psutil

from app.broker import redis_client
from app.core import runs
from app.core.db import Database
from app.core.errors import Conflict, HeadstartError
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.predict import ANSWER_SECONDS

log = logging.getLogger(__name__)

# Loaded models may take this share of the machine's memory together; the one in use always may.
MEMORY_SHARE = 0.15


@dataclass
class Loaded:
    model: Any
    tokenizer: Any
    spec: RunSpec
    bytes: int
    sha256: str | None  # of the weights: the download of a run can be moved to others


class Answering:
    """Holds the loaded models of one predictor process (one thread)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings.database)
        self._files = Files(settings.files_root)
        self._models: OrderedDict[str, Loaded] = OrderedDict()
        self._limit = int(psutil.virtual_memory().total * MEMORY_SHARE)

    def start(self) -> None:
        """Imports torch and transformers before the first question comes."""
        import transformers.models.auto.modeling_auto
        import transformers.models.bert.modeling_bert  # noqa: F401

    def stop(self) -> None:
        self._models.clear()

    def answer(self, run_id: str, inputs: list[Any], reply_to: str, deadline: float) -> None:
        """Sends {"outputs": [...]} or {"error": {...}} to `reply_to`; nothing if nobody waits any more."""
        if time.time() > deadline:
            return
        reply: dict[str, Any]
        try:
            reply = {"outputs": self.predict(run_id, inputs)}
        except HeadstartError as error:
            reply = {"error": error.as_dict()}
        except Exception as error:
            log.exception("predicting with run %s failed", run_id)
            message = f"The model could not answer ({type(error).__name__}); the predictor's log says more."
            reply = {"error": {"kind": "bug", "message": message, "problems": []}}
        with redis_client(self._settings) as client:
            pipeline = client.pipeline()
            pipeline.rpush(reply_to, json.dumps(reply))
            pipeline.expire(reply_to, ANSWER_SECONDS)
            pipeline.execute()

    def predict(self, run_id: str, inputs: list[Any]) -> list[dict[str, Any]]:
        """One output per input, in order, as the run's task answers. Raises Conflict, Invalid."""
        from worker.tasks import torch_task

        loaded = self._load(run_id)
        task = torch_task(loaded.spec.task)
        return task.answer(loaded.model, loaded.tokenizer, loaded.spec, inputs)

    def _load(self, run_id: str) -> Loaded:
        folder = self._files.model(run_id)
        if not folder.is_dir():
            self._models.pop(run_id, None)
            raise Conflict("This run has no finished model to try.")
        with self._database.read() as session:
            run = runs.get(session, run_id)
        known = self._models.get(run_id)
        if known is not None and known.sha256 == run.weights_sha256:
            self._models.move_to_end(run_id)
            return known
        from worker.tasks import torch_task

        self._models.pop(run_id, None)
        spec = RunSpec.model_validate(run.spec)
        model, tokenizer = torch_task(spec.task).open(folder, spec)
        size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
        while self._models and sum(one.bytes for one in self._models.values()) + size > self._limit:
            self._models.popitem(last=False)
        self._models[run_id] = Loaded(model, tokenizer, spec, size, run.weights_sha256)
        return self._models[run_id]
