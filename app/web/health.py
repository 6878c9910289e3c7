"""For whoever watches Headstart from outside: is it alive, is it ready, how much does it do.

None of the three needs a login, and none names data: counts, states, kinds of failure and the opaque ids of running runs. Until
there is a login the settings allow a loopback bind only; with one, `/metrics` belongs behind it on any other bind.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from sqlalchemy import func, select
from sqlmodel import col

from app.core import runs, workers
from app.core.files import RESERVE, megabytes
from app.core.reasons import CLASSES, class_of
from app.core.tables import FINAL_STATES, Point, Run
from app.web.services import Services, ServicesDep

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

router = APIRouter(include_in_schema=False)  # the schema is that of /api
# A probe that waits as long as a user would is of no use.
PATIENCE_SECONDS = 1.0
STATES = ("queued", "running", "paused", *FINAL_STATES)
GPU_MEMORY = "train/gpu_memory_bytes"


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers. It asks nobody else: a broken broker is no reason to restart the web server."""
    return {"status": "alive"}


@router.get("/readyz")
def ready(services: ServicesDep) -> JSONResponse:
    """Whether new work would begin: the database can be written, the broker answers, the disk has room. 503 with the reasons if not."""
    problems = {name: problem for name, look in LOOKS.items() if (problem := look(services)) is not None}
    listed = [{"where": where, "message": message} for where, message in problems.items()]
    return JSONResponse(
        {"ready": not problems, "problems": listed}, 503 if problems else 200, {"Cache-Control": "no-store"}
    )


@router.get("/metrics", response_class=Response)
def metrics(services: ServicesDep) -> Response:
    """In the text format of Prometheus."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    registry = CollectorRegistry(auto_describe=False)  # one a request: nothing is kept between two looks
    ProcessCollector(registry=registry)
    registry.register(_Looks(services))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Looks:
    """prometheus_client's collector over the database: figures that several processes make have no counter in this one."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        def gauge(name: str, about: str, values: dict[str, float], label: str | None = None) -> Any:
            family = GaugeMetricFamily(f"headstart_{name}", about, labels=[label] if label else None)
            for key, value in values.items():
                family.add_metric([key] if label else [], value)
            return family

        seen = figures(self._services)
        by_state = {state: float(seen["runs"].get(state, 0)) for state in STATES}
        yield gauge("queue_length", "Runs that wait for a worker.", {"": by_state["queued"]})
        yield gauge("queue_oldest_seconds", "How long the oldest of them waits.", {"": seen["waited"]})
        yield gauge("runs", "Runs by state.", by_state, "state")
        yield gauge(
            "runs_failed", "Failed runs that are still there, by kind of failure.", seen["failures"], "kind"
        )
        yield gauge("runs_stalled", "Running runs whose worker is silent.", {"": seen["stalled"]})
        yield gauge("workers", "Workers, by whether they were heard of lately.", seen["workers"], "state")
        yield gauge("run_examples_per_second", "Of each running run.", seen["speed"], "run")
        yield gauge(
            "run_gpu_memory_bytes", "Reserved by each running run on a GPU.", seen["gpu_memory"], "run"
        )
        yield gauge("database_bytes", "Size of the database.", {"": seen["database"]})
        yield gauge("disk_free_bytes", "On the disk of the data folder.", {"": seen["free"]})


def figures(services: Services) -> dict[str, Any]:
    """What `/metrics` shows, in one look at the database."""
    now = services.clock()
    kind = func.coalesce(func.json_extract(col(Run.error), "$.kind"), "bug")
    with services.database.read() as session:
        counts = runs.counts(session)
        alive = [one["alive"] for one in workers.views(session, now)]
        failed = session.execute(
            select(kind, func.count()).where(col(Run.state) == "failed").group_by(kind)
        ).all()
        running = session.execute(
            select(col(Run.id), col(Run.examples_per_second), runs.lapsed(now)).where(
                col(Run.state) == "running"
            )
        ).all()
        oldest = session.execute(
            select(func.min(col(Run.created_at))).where(col(Run.state) == "queued")
        ).scalar()
        memory = {
            run_id: value
            for run_id, _, _ in running
            if (value := session.execute(_newest(run_id)).scalar()) is not None
        }
    failures = dict.fromkeys(CLASSES, 0.0)
    for name, count in failed:
        failures[class_of(name)] += count
    path = services.database.path
    return {
        "runs": counts,
        "failures": failures,
        "workers": {"alive": float(alive.count(True)), "silent": float(alive.count(False))},
        "waited": max(0.0, now - oldest) if oldest is not None else 0.0,
        "stalled": float(sum(bool(silent) for _, _, silent in running)),
        "speed": {run_id: speed for run_id, speed, _ in running if speed is not None},
        "gpu_memory": memory,
        "database": float(sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*"))),
        "free": float(services.files.free_bytes()),
    }


def _newest(run_id: str) -> Any:
    query = select(col(Point.value)).where(col(Point.run_id) == run_id, col(Point.series) == GPU_MEMORY)
    return query.order_by(col(Point.step).desc()).limit(1)


def _database(services: Services) -> str | None:
    path = services.database.path
    if not path.is_file():
        return f"There is no database {path}. Restart Headstart, or restore a backup."
    try:
        with closing(sqlite3.connect(path, PATIENCE_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return f"The database can't be written ({error}). `headstart doctor` looks for the reason."
    return None


def _broker(services: Services) -> str | None:
    import redis

    from app.broker import redis_client

    try:
        with redis_client(services.settings, PATIENCE_SECONDS) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        return f"The broker does not answer ({error}). Runs are accepted and wait until it does."
    return None


def _disk(services: Services) -> str | None:
    free = services.files.free_bytes()
    if free < RESERVE:
        return f"{megabytes(free)} are free and {megabytes(RESERVE)} are kept in reserve. Free some space."
    return None


LOOKS = {"database": _database, "broker": _broker, "disk": _disk}
