"""The page of a run in a real browser, without a worker: the error browser, and samples that come while it learns."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from app.core import attempts
from app.core.attempts import Batch
from app.core.events import PointValue
from app.core.migrate import migrate
from app.core.settings import Settings
from app.main import create_app
from app.web.services import Services
from tests.waiting import until
from tests.web.conftest import CSV, RecordingQueue
from tests.web.gallery import finished

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass
class Site:
    url: str
    services: Services
    dataset: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, models = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("models")
    app = create_app(Settings(home=home, models=models, offline=True), queue=RecordingQueue())
    services: Services = app.state.services
    migrate(services.database)
    begun = services.datasets.begin("reviews.csv", None)
    begun.write(CSV.encode())
    begun.commit()
    services.datasets.read(begun.id)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        until(lambda: server.started, "the server answers")
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", services, begun.id)
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def test_filters_and_pages_change_without_a_reload(site: Site, page: Page) -> None:
    run_id = finished(site.services, "classification", site.dataset)
    page.goto(f"{site.url}/runs/{run_id}#errors")
    page.evaluate("globalThis.stayed = true")
    where = page.locator("[data-error-list] .pages small")
    expect(where).to_have_text("1–50 of 51")
    page.locator("[data-error-list] a[rel=next]").focus()
    page.keyboard.press("Enter")
    expect(where).to_have_text("51–51 of 51")
    assert page.evaluate("document.activeElement.matches('[data-error-list]')")
    page.locator("select[name=wrong]").select_option("0")
    expect(where).to_have_text("1–50 of 120")
    expect(page.locator("select[name=label]")).to_have_value("")
    page.locator("input[name=q]").press_sequentially("NUMBER 117")
    expect(where).to_have_text("1–1 of 1")
    assert page.evaluate("document.activeElement.name") == "q"
    page.locator("input[name=q]").fill("number")
    page.locator("select[name=label]").select_option("positive")
    expect(page.locator("[data-csv]")).to_have_attribute(
        "href", f"/api/runs/{run_id}/heldout.csv?wrong=0&label=positive&q=number"
    )
    shown = where.inner_text()
    assert page.evaluate("globalThis.stayed")
    page.reload()
    expect(where).to_have_text(shown)
    expect(page.locator("select[name=label]")).to_have_value("positive")
    expect(page.locator("#errors")).to_be_visible()


def test_samples_and_the_curves_of_the_task_come_while_it_learns(site: Site, page: Page) -> None:
    services = site.services
    run_id = launched(services, site.dataset)
    with services.database.write() as session:
        attempt = attempts.claim(session, run_id, services.clock())
    assert attempt is not None
    page.goto(f"{site.url}/runs/{run_id}")
    for step in (10, 20):
        items = [{"prompt": "a prompt", "text": f"wrote this at {step}", "reference": "so"}]
        batch = Batch(
            points=[PointValue("validation/perplexity", step, 50.0 - step, services.clock())],
            samples=[(services.clock(), {"step": step, "epoch": step / 10, "items": items})],
            progress={"step": step, "steps": 30},
        )
        with services.database.write() as session:
            attempts.record(session, run_id, attempt, batch, services.clock())
        expect(page.locator("#results .samples tr.newest")).to_contain_text(f"wrote this at {step}")
    expect(page.locator("#results .samples")).to_be_visible()
    drawn = "() => Bokeh.documents.map((one) => one.get_model_by_name('validation/perplexity')?.get_length() ?? 0)"
    until(lambda: max(page.evaluate(drawn)) == 2, "both points are drawn")
    with services.database.write() as session:
        attempts.finish(session, run_id, attempt, "cancelled", services.clock())
    expect(page.locator("[data-state-word]")).to_have_text("cancelled")
    expect(page.locator("#results .samples")).to_contain_text("wrote this at 10")


def launched(services: Services, dataset: str) -> str:
    from app.core import runs
    from app.core.files import new_id
    from app.core.spec import RunSpec

    run_id = new_id()
    spec = RunSpec(
        dataset=dataset,
        dataset_version=1,
        task="generation",
        columns={"text": "text"},
        name="live",
        max_length=64,
    )
    with services.database.write() as session:
        runs.create(session, run_id, spec, "0" * 64, services.clock(), 30)
    return run_id
