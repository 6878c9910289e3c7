"""Runs as a worker has them: launched, claimed by a real supervisor, trained by real trainer processes."""

from collections.abc import Callable
from typing import Any

from app.core import events, runs
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import Run
from app.datasets.store import DatasetStore
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run
from tests.serving import toy_csv
from tests.worker.tiny import build_bert, toy
from worker.supervisor import Supervisor

SPEC = {
    "task": "classification",
    "columns": {"text": "text", "label": "label"},
    "model": "local:tiny",
    "max_length": 32,
}


class RealRuns:
    """120 toy texts with two labels, and the model folder "tiny"."""

    def __init__(self, settings: Settings, database: Database, files: Files) -> None:
        assert settings.models_dir is not None
        build_bert(settings.models_dir / "tiny", toy(120)[0])
        self._database = database
        self._store = DatasetStore(database, files)
        models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
        self._launcher = Launcher(database, files, self._store, models, enqueue=lambda _: None)
        self.supervisor = Supervisor(settings)
        self.dataset = self.upload(toy_csv(120))

    def upload(self, csv: str) -> str:
        sent = self._store.begin("toy.csv", None)
        sent.write(csv.encode())
        sent.commit()
        self._store.read(sent.id)
        return sent.id

    def launch(self, **changes: Any) -> str:
        """With `changes` of SPEC. Raises Invalid."""
        return self._launcher.launch({**SPEC, "dataset": self.dataset, **changes})

    def train(self, before: Callable[[], None] | None = None, **changes: Any) -> Run:
        """The run after its one attempt. `before` is called when it is queued."""
        run_id = self.launch(**changes)
        if before is not None:
            before()
        self.supervisor.supervise(run_id)
        return self.read(run_id)

    def read(self, run_id: str) -> Run:
        with self._database.read() as session:
            return runs.get(session, run_id)

    def said(self, run: Run) -> str:
        """All lines of its log."""
        with self._database.read() as session:
            found = events.after(session, run.id, 0, 10**6)
        return "\n".join(event.payload["message"] for event in found if event.kind == "log")
