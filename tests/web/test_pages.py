"""The pages in every state, with hostile names, and without anything inline."""

import html
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core import attempts, events, runs
from app.core.attempts import Batch
from app.core.events import INEXACT
from app.core.tables import Worker
from app.web.services import Services
from tests.web.conftest import CSV, HOSTILE, RecordingQueue, Trainer

Upload = Callable[..., dict[str, Any]]
Launch = Callable[..., str]
Train = Callable[[str], Trainer]
PAGE = {"accept": "text/html"}


class Inline(HTMLParser):
    """Collects what the content security policy would block, and duplicate ids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "script" and not (names.get("src") or "").startswith("/static/"):
            self.found.append(f"<script {names}>")
        if tag == "style" or "style" in names or any(name.startswith("on") for name in names):
            self.found.append(f"<{tag} {names}>")
        for name in ("href", "src", "action", "formaction"):
            address = names.get(name) or ""
            if address.startswith(("http:", "https:", "//", "javascript:")):
                self.found.append(f"<{tag} {name}={address}>")
        if names.get("id"):
            self.ids.append(names["id"] or "")


def page(client: TestClient, path: str, status: int = 200) -> str:
    """A page that is free of inline code, foreign addresses and unescaped names."""
    response = client.get(path, headers=PAGE)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    check(response.text)
    return response.text


def check(text: str) -> None:
    parser = Inline()
    parser.feed(text)
    assert parser.found == []
    assert len(parser.ids) == len(set(parser.ids))
    assert HOSTILE not in text


def words(text: str) -> str:
    """What a reader sees of a page, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_the_first_page_says_where_to_begin(client: TestClient) -> None:
    text = page(client, "/")
    assert 'data-upload="/api/datasets"' in text and 'type="file"' in text
    assert "Use the sample data" in text


@pytest.mark.parametrize("path", ["/data", "/models", "/runs/new"])
def test_pages_without_data(client: TestClient, path: str) -> None:
    page(client, path)


def test_the_sample_leads_to_its_page(client: TestClient) -> None:
    response = client.post("/sample", headers=PAGE)
    assert response.url.path.startswith("/data/") and response.status_code == 200
    check(response.text)
    assert "New run" in response.text and "complaint" in response.text


def test_upload_without_scripts(client: TestClient) -> None:
    response = client.post("/data", files={"file": (f"{HOSTILE}.csv", CSV)}, headers=PAGE)
    assert response.status_code == 200 and response.url.path.startswith("/data/")
    check(response.text)
    assert client.get("/api/datasets").json()[0]["name"] == f"{HOSTILE}.csv"


@pytest.mark.parametrize("files", [{"file": ("", b"")}, {"file": ("empty.csv", b"")}, {"other": ("a", b"b")}])
def test_a_form_without_a_file_is_explained(client: TestClient, files: Any) -> None:
    response = client.post("/data", files=files, headers=PAGE)
    assert response.status_code == 422
    check(response.text)


def test_a_data_set_shows_rows_labels_and_columns(client: TestClient, upload: Upload) -> None:
    rows = "".join(f"a text number {n} about {HOSTILE},{HOSTILE if n % 2 else 'fine'}\n" for n in range(40))
    view = upload(f"review,kind {HOSTILE}\n{rows}", f"{HOSTILE}.csv")
    text = page(client, f"/data/{view['id']}")
    assert "&lt;script&gt;" in text and "a text number 7" in text
    other = page(client, f"/data/{view['id']}?label=review&text=review")
    assert "different values" in other or "a text number" in other
    bars = client.get(f"/data/{view['id']}/labels", params={"label": f"kind {HOSTILE}"})
    check(bars.text)
    assert "<rect" in bars.text
    assert page(client, "/data").count("&lt;script&gt;")


def test_a_failed_file_says_why_and_can_be_read_otherwise(client: TestClient, upload: Upload) -> None:
    view = upload(f"text,label\ngood,a\n{HOSTILE},b,c\nfine,b\n")
    text = page(client, f"/data/{view['id']}")
    assert "line 3" in text.lower() and "Read again" in text and "The file itself is kept" in text
    response = client.post(
        f"/data/{view['id']}/reread",
        data={"encoding": "", "delimiter": "", "header": "", "skip_ragged": "on"},
    )
    assert response.status_code == 200
    assert client.get(f"/api/datasets/{view['id']}").json()["rows"] == 2


def test_a_data_set_that_is_being_read_shows_progress(client: TestClient, services: Services) -> None:
    begun = services.datasets.begin("slow.csv", None)
    begun.write(b"text,label\n")
    begun.commit()
    text = page(client, f"/data/{begun.id}")
    assert "Reading the file" in text and "<progress" in text
    page(client, f"/runs/new?dataset={begun.id}")


def test_the_original_comes_back_as_a_download(client: TestClient, upload: Upload) -> None:
    response = client.get(f"/data/{upload(name='a.html')['id']}/original")
    assert response.text == CSV
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")


def test_deleting_a_data_set_leads_to_the_list(client: TestClient, upload: Upload) -> None:
    response = client.post(f"/data/{upload()['id']}/delete", headers=PAGE)
    assert response.url.path == "/data"
    assert client.get("/api/datasets").json() == []


def test_three_steps_from_upload_to_a_run(client: TestClient, queue: RecordingQueue, upload: Upload) -> None:
    view = upload()
    assert 'form="columns"' in page(client, f"/data/{view['id']}")
    text = page(client, f"/runs/new?dataset={view['id']}&text=text&label=label")
    assert re.search(r'value="starter" checked', text)
    form = {"dataset": view["id"], "text": "text", "label": "label", "model": "starter", "epochs": ""}
    response = client.post("/runs/new", data=form, headers=PAGE)
    assert response.url.path == f"/runs/{queue.woken[0]}"


def test_a_bad_form_loses_nothing_and_marks_the_fields(client: TestClient, upload: Upload) -> None:
    form = {
        "dataset": upload()["id"],
        "text": "text",
        "label": "label",
        "model": "other",
        "model_other": f"gpt4{HOSTILE}",
        "epochs": "many",
        "learning_rate": "-1",
        "name": HOSTILE,
        "early_stopping": "2",
        "split": "group",
    }
    response = client.post("/runs/new", data=form, headers=PAGE)
    assert response.status_code == 422
    check(response.text)
    for typed in ('value="many"', 'value="-1"', 'value="2"', '<option value="group" selected>'):
        assert typed in response.text
    assert response.text.count('aria-invalid="true"') >= 2
    told = client.post("/runs/new/preview", data=form).json()
    assert {"epochs", "learning_rate"} <= set(told["problems"])


def test_the_preview_tells_what_will_happen_and_why(client: TestClient, upload: Upload) -> None:
    form = {"dataset": upload()["id"], "text": "text", "label": "label", "model": "starter", "epochs": "2"}
    told = client.post("/runs/new/preview", data=form).json()
    assert told["problems"] == {}
    assert "in 2 epochs" in told["aside"]
    assert told["why"]["learning_rate"] and told["defaults"]["learning_rate"] == "0.0001"
    assert "epochs" not in told["why"]


def test_the_preview_of_an_unpublished_model_says_so_at_its_field(client: TestClient, upload: Upload) -> None:
    form = {
        "dataset": upload()["id"],
        "text": "text",
        "label": "label",
        "model": "other",
        "model_other": "gpt4",
    }
    problems = client.post("/runs/new/preview", data=form).json()["problems"]
    assert "not published" in problems["model"][0]


def test_a_clone_repeats_every_setting(client: TestClient, launch: Launch) -> None:
    run_id = launch(learning_rate=3.3333333333e-05, epochs=7, early_stopping={"patience": 2}, seed=5)
    text = page(client, f"/runs/new?clone={run_id}")
    for typed in ('value="3.3333333333e-5"', 'value="7"', 'value="2"', 'value="5"'):
        assert typed in text


def test_a_waiting_run(client: TestClient, launch: Launch) -> None:
    first = launch(name=HOSTILE)
    second = launch(name="second")
    assert "next in the queue" in page(client, f"/runs/{first}")
    text = page(client, f"/runs/{second}")
    assert (
        "2nd in the queue, behind" in text
        and "Start next" in text
        and "/cancel" in text
        and "Download" not in text
    )
    home = page(client, "/")
    assert "2 queued" in home and "&lt;script&gt;" in home


def test_a_running_run(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch(name=HOSTILE)
    trainer(run_id).record([0.9, 0.8], examples_per_second=47.2)
    text = page(client, f"/runs/{run_id}")
    seen = words(text)
    assert "step 2 of 100 · 47 examples/s · 1 min 10 s left" in seen
    assert "validation accuracy 0.800" in seen
    assert "held-out test part appear here when the run ends" in seen
    assert "reached step 2" in seen
    assert "step 2 of 100" in page(client, "/")


def test_a_resumed_run_remembers_where(
    client: TestClient, services: Services, launch: Launch, trainer: Train
) -> None:
    run_id = launch()
    trainer(run_id).record([0.9, 0.8, 0.7])
    assert 'data-resumed=""' in page(client, f"/runs/{run_id}")
    with services.database.write() as session:
        events.rewind(session, run_id, 2, 6.0)
    assert 'data-resumed="2"' in page(client, f"/runs/{run_id}")


def test_a_run_that_ended_well(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch(name=HOSTILE)
    training = trainer(run_id)
    training.record([0.9, 0.8])
    training.succeed(accuracy=0.9, tfidf=0.8)
    seen = words(page(client, f"/runs/{run_id}"))
    assert "Results are on the held-out test part: 10 rows" in seen
    assert "over TF-IDF (0.800) +0.100" in seen
    assert "Download" in seen and "Mistakes on the held-out part" in seen and "Predict" in seen
    assert "precision" in seen and "Confusion, 10 held-out rows" in seen
    assert "0.900 accuracy · +0.100 over TF-IDF" in words(page(client, "/"))


def test_a_better_baseline_is_admitted(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    trainer(run_id).succeed(accuracy=0.7, tfidf=0.8)
    seen = words(page(client, f"/runs/{run_id}"))
    assert "TF-IDF with logistic regression is better on these rows by 0.100" in seen
    assert "−0.100" in seen


def test_a_failed_run_says_why_and_what_to_do(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    training = trainer(run_id)
    training.record([0.9])
    problem = {"where": HOSTILE, "message": HOSTILE}
    error = {"kind": "diverged", "message": f"The loss became NaN {HOSTILE}.", "problems": [problem]}
    training.finish("failed", error=error)
    seen = words(page(client, f"/runs/{run_id}"))
    assert "The loss became NaN" in seen and "start again" in seen and "curve so far is kept" in seen
    assert "The loss became NaN" in words(page(client, "/"))


def test_a_diverged_run_offers_itself_again_with_a_lower_learning_rate(
    client: TestClient, launch: Launch, trainer: Train
) -> None:
    run_id = launch(learning_rate=3e-4, epochs=7)
    error = {"kind": "training", "message": "The loss is no number.", "problems": [], "learning_rate": 1e-4}
    trainer(run_id).finish("failed", error=error)
    shown = page(client, f"/runs/{run_id}")
    assert "The learning rate was 0.0003. The same run tried again would diverge again." in words(shown)
    offered = re.search(r'href="([^"]+)">New run with learning rate 0.0001<', shown)
    assert offered is not None
    form = page(client, html.unescape(offered[1]))
    assert re.search(r'name="learning_rate"[^>]* value="0.0001"', form)
    assert re.search(r'name="epochs"[^>]* value="7"', form)


@pytest.mark.parametrize("best", [True, False])
def test_a_cancelled_run_keeps_its_curve(
    client: TestClient, services: Services, launch: Launch, trainer: Train, best: bool
) -> None:
    run_id = launch()
    training = trainer(run_id)
    training.record([0.9, 0.8])
    if best:
        services.files.run(run_id).mkdir(parents=True)
        services.files.checkpoint_zip(run_id).write_bytes(b"PK")
    training.finish("cancelled")
    seen = words(page(client, f"/runs/{run_id}"))
    assert "cancelled at step 2; the curve so far is kept" in seen
    assert ("The best weights so far" in seen) == best == ("Download" in seen)


def test_a_run_without_any_results_renders(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    trainer(run_id).finish("succeeded", metrics={"accuracy": 0.5}, results={"truncated": 3}, baselines={})
    page(client, f"/runs/{run_id}")


def test_parts_are_what_the_page_shows(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch(name=HOSTILE)
    trainer(run_id).succeed()
    told = client.get(f"/runs/{run_id}/parts").json()
    text = page(client, f"/runs/{run_id}")
    assert told["state"] == "succeeded"
    for part in told["parts"].values():
        check(part)
        assert part in text
    assert f'data-seq="{told["seq"]}"' in text


def test_cancel_and_delete_without_scripts(client: TestClient, launch: Launch) -> None:
    run_id = launch()
    response = client.post(f"/runs/{run_id}/cancel", headers=PAGE)
    assert response.url.path == f"/runs/{run_id}" and "cancelled" in response.text
    response = client.post(f"/runs/{run_id}/delete", headers=PAGE)
    assert response.url.path == "/"
    assert client.get("/api/runs").json() == []


def test_try_it_without_scripts(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch()
    early = client.post(f"/runs/{run_id}/try", data={"text": "a"}, headers=PAGE)
    assert early.status_code == 409
    trainer(run_id).succeed()
    response = client.post(f"/runs/{run_id}/try", data={"text": HOSTILE}, headers=PAGE)
    check(response.text)
    assert "0.750" in response.text and "&lt;script&gt;" in response.text


def test_the_list_can_be_filtered_without_scripts(client: TestClient, launch: Launch) -> None:
    launch(name="Alpha beta")
    launch(name="Gamma")
    rows = client.get("/runs/rows?q=BETA minilm").text
    assert "Alpha beta" in rows and "Gamma" not in rows
    assert "Gamma" not in page(client, "/?q=beta")
    assert "Filter" in page(client, "/?q=nothing-like-this")


def test_the_preview_estimates_the_time_by_the_last_run_with_the_model(
    client: TestClient, launch: Launch, trainer: Train
) -> None:
    run_id = launch(epochs=1)
    form = {"dataset": client.get(f"/api/runs/{run_id}").json()["dataset"], "text": "text", "label": "label"}
    assert "as your last run" not in client.post("/runs/new/preview", data=form).json()["aside"]
    trainer(run_id).succeed()
    assert "as your last run with this model" in client.post("/runs/new/preview", data=form).json()["aside"]


def test_a_run_that_no_worker_takes_says_so(client: TestClient, launch: Launch, services: Services) -> None:
    run_id = launch()
    assert "No worker is there" not in page(client, f"/runs/{run_id}")
    services.clock = lambda: time.time() + 3600
    assert "No worker is there" in page(client, f"/runs/{run_id}")
    assert "queued runs wait" in page(client, "/")


def test_a_silent_worker_is_shown_with_when_it_was_last_heard_of(
    client: TestClient, launch: Launch, services: Services
) -> None:
    launch()
    now = services.clock()
    with services.database.write() as session:
        for name, heard in (("alive", now), ("stuck", now - 60)):
            session.add(
                Worker(id=name, host=f"{name}-host", pid=7, pid_started=1.0, started_at=1.0, heard_at=heard)
            )
    text = page(client, "/")
    assert "alive-host" in text and "stuck-host" in text
    assert text.count("it does not answer") == 1 and "queued runs wait" not in text
    told = {worker["host"]: worker["alive"] for worker in client.get("/api/workers").json()}
    assert told == {"alive-host": True, "stuck-host": False}


def test_a_trainer_that_shows_no_sign_of_life_is_told_with_what_happens_then(
    client: TestClient, launch: Launch, services: Services
) -> None:
    run_id = launch()
    with services.database.write() as session:
        attempts.claim(session, run_id, services.clock())
        progress = {"checkpoint_step": 12, "step": 14, "phase": f"{runs.SILENT} for 32 s"}
        attempts.record(session, run_id, 1, Batch(progress=progress), services.clock())
    seen = words(page(client, f"/runs/{run_id}"))
    assert "The trainer shows no sign of life" in seen and "not heard of for 32 s" in seen
    assert "goes on from its checkpoint of step 12" in seen
    assert client.get(f"/api/runs/{run_id}").json()["silent"] is True


def test_a_run_that_is_no_longer_exactly_repeatable_says_so(
    client: TestClient, launch: Launch, services: Services
) -> None:
    run_id = launch()
    assert "exactly repeatable" not in page(client, f"/runs/{run_id}")
    line = f"Half as many rows at a time. {INEXACT}."
    with services.database.write() as session:
        attempts.claim(session, run_id, services.clock())
        attempts.record(
            session, run_id, 1, Batch(logs=[(services.clock(), "warning", line)]), services.clock()
        )
    assert page(client, f"/runs/{run_id}").count(line) == 2  # in its log, and above the curves


def test_a_failed_run_can_be_tried_again_from_its_checkpoint(
    client: TestClient, launch: Launch, trainer: Train, services: Services
) -> None:
    run_id = launch()
    with services.database.write() as session:
        attempts.claim(session, run_id, services.clock())
        progress = {"checkpoint_step": 12, "step": 14}
        attempts.record(session, run_id, 1, Batch(progress=progress), services.clock())
        error = {"kind": "bug", "message": "It broke."}
        attempts.fail_or_retry(session, run_id, 1, error, True, services.clock())
    text = page(client, f"/runs/{run_id}")
    assert "Retry from step 12" in text and "become free" in text
    response = client.post(f"/runs/{run_id}/retry", headers=PAGE)
    assert "next in the queue" in response.text and "Retry" not in response.text


def test_a_queued_run_moves_forward_without_scripts(client: TestClient, launch: Launch) -> None:
    first, second, third = launch(name="one"), launch(name="two"), launch(name="three")
    moved = client.post(f"/runs/{third}/move", data={"to": "first", "back": "list"}, headers=PAGE)
    assert moved.url.path == "/"
    assert "next in the queue" in page(client, f"/runs/{third}")
    assert "3rd in the queue, behind one" in page(client, f"/runs/{second}")
    assert client.get(f"/api/runs/{first}").json()["place"] == 1


def test_a_silent_worker_is_named_in_place_of_an_old_estimate(
    client: TestClient, launch: Launch, trainer: Train, services: Services
) -> None:
    run_id = launch()
    trainer(run_id).record([0.5])
    assert "left" in page(client, f"/runs/{run_id}")
    services.clock = lambda: time.time() + 3600
    text = page(client, f"/runs/{run_id}")
    assert "the worker does not answer" in text and "1 min 10 s left" not in text


def test_a_finished_run_says_how_to_load_it(client: TestClient, launch: Launch, trainer: Train) -> None:
    run_id = launch(max_length=64)
    trainer(run_id).succeed()
    text = page(client, f"/runs/{run_id}")
    assert f"headstart-{run_id}" in text and "max_length=64" in text and 'data-copy="#load-code"' in text


def test_a_run_that_ended_early_waits_for_nothing(client: TestClient, launch: Launch) -> None:
    run_id = launch()
    client.post(f"/runs/{run_id}/cancel")
    text = page(client, f"/runs/{run_id}")
    assert "not measured yet" not in text and "Begins with" not in text


def test_many_labels_become_a_list(
    client: TestClient, launch: Launch, trainer: Train, services: Services
) -> None:
    run_id = launch()
    labels = [f"{HOSTILE} {number}" for number in range(30)]
    matrix = [[1 if row == column or row == 0 else 0 for column in range(30)] for row in range(30)]
    results = {"labels": labels, "confusion": matrix, "rows": 59}
    trainer(run_id).finish("succeeded", metrics={"accuracy": 0.5}, results=results)
    text = page(client, f"/runs/{run_id}")
    assert "Most often confused" in text and '<svg class="confusion"' not in text
