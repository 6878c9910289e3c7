"""The web application: puts the pieces together. Nothing exists before somebody calls create_app."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import FastAPI

from app.core import removal
from app.core.clock import Clock
from app.core.db import Database
from app.core.files import Files, make_home
from app.core.migrate import migrate
from app.core.settings import Settings
from app.datasets.edits import Edits
from app.datasets.store import DatasetStore
from app.datasets.table import Table
from app.datasets.versions import Versions
from app.launch import Launcher
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run
from app.web import (
    api_datasets,
    api_edits,
    api_findings,
    api_heldout,
    api_models,
    api_predicted,
    api_review,
    api_rows,
    api_runs,
    api_versions,
    assets,
    health,
    openapi,
    pages_data,
    pages_doctor,
    pages_home,
    pages_new,
    pages_predicted,
    pages_review,
    pages_run,
    pages_table,
    pages_try,
    predicted,
    streams,
)
from app.web.errors import CatchAll, install_handlers
from app.web.examining import Examiner
from app.web.live import LiveHub
from app.web.reading import Reader
from app.web.render import Pages
from app.web.security import HOSTS, Guard
from app.web.services import Predicts, Services, WakesWorkers

# Bokeh takes 0.8 s to import: it waits until the first pages are out.
WARM_AFTER_SECONDS = 2.0


def create_app(
    settings: Settings,
    *,
    queue: WakesWorkers | None = None,
    predictor: Predicts | None = None,
    clock: Clock = time.time,
    hosts: tuple[str, ...] = HOSTS,
) -> FastAPI:
    """The application over the data folder of `settings`. `queue`, `predictor`, `clock` and `hosts` are for tests."""
    services = make_services(settings, queue, predictor, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        make_home(settings.home)
        await asyncio.to_thread(migrate, services.database)
        services.reader.start()
        services.examiner.start()
        removal.sweep(services.database, services.files)
        predicted.sweep(services)
        warming = threading.Timer(WARM_AFTER_SECONDS, _warm)
        warming.daemon = True
        warming.start()
        try:
            with _on_stop_signal(services.live.close):
                yield
        finally:
            warming.cancel()
            services.live.close()
            services.reader.stop()
            services.examiner.stop()
            services.database.close()

    app = FastAPI(
        title="Headstart",
        version="0.1.0",
        description="Fine-tune pre-trained transformers on your text.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's own page loads its scripts from a CDN
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = services
    app.openapi = lambda: openapi.schema(app)  # type: ignore[method-assign]
    install_handlers(app)
    for room in (
        api_datasets,
        api_rows,
        api_versions,
        api_edits,
        api_findings,
        api_models,
        health,
        streams,
        api_runs,
        api_predicted,
        api_heldout,
        api_review,
        pages_home,
        pages_data,
        pages_doctor,
        pages_table,
        pages_new,
        pages_run,
        pages_try,
        pages_predicted,
        pages_review,
    ):
        app.include_router(room.router)
    assets.mount(app)
    app.add_middleware(CatchAll)
    app.add_middleware(Guard, hosts=hosts)
    return app


def make_services(
    settings: Settings, queue: WakesWorkers | None, predictor: Predicts | None, clock: Clock
) -> Services:
    """The collaborators of all routes. Opens nothing yet."""
    from app.predict import Predictor
    from app.queue import Queue

    database = Database(settings.database)
    files = Files(settings.files_root)
    # An upload of an hour is not thrown away for another writer of ten seconds.
    datasets = DatasetStore(Database(settings.database, patience=60.0), files, clock)
    versions = Versions(database, files, clock)
    edits = Edits(database, files, versions, clock)
    models = ModelCatalog(settings, lambda run_id: finished_run(database, files, run_id))
    real_queue = Queue(settings)
    return Services(
        settings=settings,
        database=database,
        files=files,
        datasets=datasets,
        versions=versions,
        edits=edits,
        table=Table(files, edits),
        models=models,
        launcher=Launcher(database, files, datasets, models, clock, enqueue=(queue or real_queue).wake),
        predictor=predictor or Predictor(settings, real_queue),
        reader=Reader(datasets),
        examiner=Examiner(files),
        live=LiveHub(database, clock=clock),
        pages=Pages(database, clock),
        clock=clock,
    )


def _warm() -> None:
    from app.web.charts import figures

    figures("light")


@contextlib.contextmanager
def _on_stop_signal(close_streams: Callable[[], None]) -> Iterator[None]:
    """Ends open event streams as soon as a stop signal comes.

    The server first waits for its connections and tells the application only then, so a page that is being
    watched would hold it up until the server's patience ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(close_streams)
        handler = earlier[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    mine = {number: handler for number, handler in earlier.items() if callable(handler)}
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in mine.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)
