"""The web application over a real store in tmp_path; only queue and predictor are stand-ins."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts
from app.core.attempts import Batch
from app.core.db import Database
from app.core.events import PointValue
from app.core.migrate import migrate
from app.core.settings import Settings
from app.main import create_app
from app.tasks import heldout
from app.tasks.heldout import Prediction
from app.web.services import Services

HOSTILE = "<script>alert('x')</script>"
CSV = "text,label\n" + "".join(
    f"{word} film number {number},{label}\n"
    for number in range(30)
    for word, label in (("good", "positive"), ("bad", "negative"))
)


@dataclass
class RecordingQueue:
    """Stands in for the broker: keeps the ids."""

    woken: list[str] = field(default_factory=list)

    def wake(self, run_id: str) -> None:
        self.woken.append(run_id)


class EchoPredictor:
    """Stands in for the predictor process: the probability says how long the text is."""

    def predict(self, run_id: str, inputs: list[Any], timeout: float | None = None) -> list[dict[str, Any]]:
        return [
            {
                "label": HOSTILE,
                "score": 0.75,
                "probabilities": {HOSTILE: 0.75, "negative": 0.25},
                "length": len(text),
            }
            for text in inputs
        ]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema, made once: alembic takes longer than most tests here."""
    path = tmp_path_factory.mktemp("migrated") / "headstart.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> Settings:
    home, models = tmp_path / "home", tmp_path / "models"
    home.mkdir(mode=0o700)
    models.mkdir()
    shutil.copy(migrated, home / "headstart.db")
    return Settings(home=home, models=models, offline=True)


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def client(settings: Settings, queue: RecordingQueue) -> Iterator[TestClient]:
    app = create_app(settings, queue=queue, predictor=EchoPredictor(), hosts=("testserver", "127.0.0.1"))
    app.state.services.live.interval = 0.01
    with TestClient(app) as client:
        yield client


@pytest.fixture
def services(client: TestClient) -> Services:
    services: Services = client.app.state.services  # type: ignore[attr-defined]
    return services


@pytest.fixture
def upload(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Uploads a file and returns its view."""

    def put(content: str | bytes = CSV, name: str = "reviews.csv") -> dict[str, Any]:
        response = client.put("/api/datasets", params={"name": name}, content=content)
        assert response.status_code == 201, response.text
        view: dict[str, Any] = response.json()
        return view

    return put


@pytest.fixture
def launch(client: TestClient, upload: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """Starts a run on a new data set and returns its id."""

    def post(**spec: Any) -> str:
        if "dataset" not in spec:
            spec["dataset"] = upload()["id"]
        columns = {"text": "text", "label": "label"}
        response = client.post("/api/runs", json={"task": "classification", "columns": columns, **spec})
        assert response.status_code == 201, response.text
        run_id: str = response.json()["id"]
        return run_id

    return post


class Trainer:
    """Plays the worker: claims a run and writes to it through the real, fenced store."""

    def __init__(self, services: Services, run_id: str) -> None:
        self.services, self.run_id = services, run_id
        with services.database.write() as session:
            attempt = attempts.claim(session, run_id, services.clock())
        assert attempt is not None
        self.attempt = attempt

    def record(self, losses: list[float], first: int = 1, **progress: Any) -> None:
        points = [PointValue("train/loss", first + place, loss, 5.0) for place, loss in enumerate(losses)]
        last = first + len(losses) - 1
        points += [
            PointValue("validation/loss", last, 0.5, 5.0),
            PointValue("validation/accuracy", last, 0.8, 5.0),
            PointValue("validation/macro_f1", last, 0.79, 5.0),
        ]
        state = {"phase": "training", "step": last, "steps": 100, "eta_seconds": 70.0, **progress}
        logs = [(5.0, "info", f"reached step {last} {HOSTILE}")]
        with self.services.database.write() as session:
            batch = Batch(points=points, logs=logs, progress=state)
            attempts.record(session, self.run_id, self.attempt, batch, self.services.clock())

    def finish(self, state: str, **values: Any) -> None:
        with self.services.database.write() as session:
            attempts.finish(session, self.run_id, self.attempt, state, self.services.clock(), **values)

    def succeed(self, accuracy: float = 0.9, tfidf: float = 0.8) -> None:
        """Ends well, with results and a download, as the worker leaves them."""
        files = self.services.files
        files.model(self.run_id).mkdir(parents=True)
        files.checkpoint_zip(self.run_id).write_bytes(b"PK" + bytes(range(256)))
        labels = [HOSTILE, "negative"]
        per_class = [
            {"label": label, "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 5} for label in labels
        ]
        wrong = Prediction(
            3, HOSTILE, "negative", HOSTILE, True, 0.99, (HOSTILE, "negative"), {"probability": 0.99}
        )
        right = Prediction(4, "fine", HOSTILE, HOSTILE, False, -0.9, (HOSTILE,), {"probability": 0.9})
        heldout.write(files.run(self.run_id) / heldout.FILE, [right, wrong])
        self.finish(
            "succeeded",
            metrics={"accuracy": accuracy, "macro_f1": accuracy, "log_loss": 0.3},
            baselines={
                "majority": {"accuracy": 0.5, "macro_f1": 0.33},
                "tfidf": {"accuracy": tfidf, "macro_f1": tfidf},
            },
            results={
                "labels": labels,
                "rows": 10,
                "per_class": per_class,
                "confusion": [[4, 1], [0, 5]],
            },
            best_step=10,
        )


@pytest.fixture
def trainer(services: Services) -> Callable[[str], Trainer]:
    return lambda run_id: Trainer(services, run_id)
