"""What every route works with, made once by create_app and handed to the routes as a dependency."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import Depends, Request

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import NotFound
from app.core.files import ID_PATTERN, Files
from app.core.settings import Settings

if TYPE_CHECKING:
    from app.datasets.edits import Edits
    from app.datasets.store import DatasetStore
    from app.datasets.table import Table
    from app.datasets.versions import Versions
    from app.launch import Launcher
    from app.models.catalog import ModelCatalog
    from app.web.examining import Examiner
    from app.web.live import LiveHub
    from app.web.reading import Reader
    from app.web.render import Pages

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES, STATIC = ROOT / "templates", ROOT / "static"


class WakesWorkers(Protocol):
    """app.queue.Queue, or a stand-in."""

    def wake(self, run_id: str) -> None: ...


class Predicts(Protocol):
    """app.predict.Predictor, or a stand-in."""

    def predict(
        self, run_id: str, inputs: list[Any], timeout: float | None = None
    ) -> list[dict[str, Any]]: ...


@dataclass
class Services:
    settings: Settings
    database: Database
    files: Files
    datasets: "DatasetStore"
    versions: "Versions"
    edits: "Edits"
    table: "Table"
    models: "ModelCatalog"
    launcher: "Launcher"
    predictor: Predicts
    reader: "Reader"
    examiner: "Examiner"
    live: "LiveHub"
    pages: "Pages"
    clock: Clock = field(default=time.time)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _run_id(run_id: str) -> str:
    if not ID_PATTERN.match(run_id):
        raise NotFound(f"There is no run {run_id!r}: a run's id is 12 characters of a-z and 0-9.")
    return run_id


def _dataset_id(dataset_id: str) -> str:
    if not ID_PATTERN.match(dataset_id):
        raise NotFound(f"There is no data set {dataset_id!r}: its id is 12 characters of a-z and 0-9.")
    return dataset_id


ServicesDep = Annotated[Services, Depends(services_of)]
# Only what looks like one of our ids ever reaches the database or becomes a path.
RunId = Annotated[str, Depends(_run_id)]
DatasetId = Annotated[str, Depends(_dataset_id)]
