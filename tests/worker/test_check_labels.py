"""The process that looks for wrong labels, after a real run on data with wrong labels in it."""

import shutil
import threading

import pytest

from app.core import label_checks
from app.core.db import Database
from app.core.files import Files
from app.core.settings import Settings
from app.core.tables import LabelCheck
from app.tasks import suspects
from tests.waiting import until
from tests.worker.real_runs import RealRuns
from tests.worker.tiny import toy
from worker.label_jobs import LabelJobs

pytestmark = pytest.mark.slow
WRONG = range(5, 200, 20)


def csv_with_wrong_labels() -> str:
    texts, labels = toy(200)
    other = {"positive": "negative", "negative": "positive"}
    rows = [
        f"{text} {row},{other[label] if row in WRONG else label}"
        for row, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    return "text,label\n" + "\n".join(rows)


def found(database: Database, run_id: str) -> LabelCheck:
    with database.read() as session:
        check = label_checks.find(session, run_id)
        assert check is not None
        return check


def request(database: Database, run_id: str) -> None:
    with database.write() as session:
        label_checks.request(session, run_id, 1.0)


def test_wrong_labels_are_found_after_a_run_and_the_search_can_be_stopped(
    settings: Settings, database: Database, files: Files, real_runs: RealRuns
) -> None:
    run = real_runs.train(dataset=real_runs.upload(csv_with_wrong_labels()), epochs=1)
    assert run.state == "succeeded"
    jobs, path = LabelJobs(settings), files.suspects(run.id)
    assert not jobs.once()
    before = {one.name: one.stat().st_mtime_ns for one in files.model(run.id).iterdir()}

    request(database, run.id)
    working = threading.Thread(target=jobs.once)
    working.start()
    until(lambda: found(database, run.id).phase, "the search")
    with database.write() as session:
        label_checks.request_cancel(session, run.id, 2.0)
    working.join(60)
    assert found(database, run.id).state == "cancelled" and not path.exists()

    assert settings.models_dir is not None
    shutil.copytree(settings.models_dir / "tiny", settings.models_dir / "other")
    with database.write() as session:
        label_checks.request(session, run.id, 1.0, "local:other")
    assert jobs.once()
    check = found(database, run.id)
    log = (files.run(run.id) / "label-check.txt").read_text(encoding="utf-8")
    assert (check.state, check.error) == ("succeeded", None), log
    page = suspects.page(path)
    assert (page.summary.rows, page.summary.looked_at, page.summary.notes) == (200, 200, [])
    assert [one.split(" ")[0] for one in page.summary.by] == ["words", "the", "the"]
    assert page.summary.by[1] == "the pre-trained model other"
    assert len(set(WRONG) & {one["row_id"] for one in page.items[: len(WRONG)]}) >= 8
    assert {one["part"] for one in page.items} <= {"train", "validation", "test"}
    first = page.items[0]
    assert {first["label"], first["suggested"]} == {"positive", "negative"}
    assert first["p_suggested"] > first["p_label"]
    assert before == {one.name: one.stat().st_mtime_ns for one in files.model(run.id).iterdir()}
    assert not list(files.run(run.id).glob("*.part"))


def test_pairs_are_judged_too_and_without_the_pre_trained_model_the_summary_says_so(
    settings: Settings, database: Database, files: Files, real_runs: RealRuns
) -> None:
    texts, labels = toy(120)
    rows = [
        f"{text},a film {row},{label}" for row, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    dataset = real_runs.upload("text,text_pair,label\n" + "\n".join(rows))
    columns = {"text": "text", "text_pair": "text_pair", "label": "label"}
    run = real_runs.train(dataset=dataset, task="pair", columns=columns, epochs=1)
    assert settings.models_dir is not None
    (settings.models_dir / "tiny" / "model.safetensors").unlink()
    with database.write() as session:
        label_checks.request(session, run.id, 1.0, "local:tiny")

    assert LabelJobs(settings).once()

    assert found(database, run.id).error is None
    page = suspects.page(files.suspects(run.id))
    assert len(page.summary.notes) == 1 and "only words were compared" in page.summary.notes[0]
    assert [one.split(" ")[0] for one in page.summary.by] == ["words", "the"]
    assert all(item["second"].startswith("a film ") for item in page.items)


def test_a_label_too_many_or_missing_is_found_where_a_text_may_have_several(
    settings: Settings, database: Database, files: Files, real_runs: RealRuns
) -> None:
    texts, labels = toy(200)
    rows = []
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        some = ["film"] if row % 3 else ["film", label]
        rows.append(
            f"{text} {'quux' if row % 2 else ''},{'|'.join([*some, *(['odd'] * ((row % 2) ^ (row in WRONG)))])}"
        )
    dataset = real_runs.upload("text,label\n" + "\n".join(rows))
    run = real_runs.train(dataset=dataset, task="multilabel", epochs=1)
    assert run.state == "succeeded", run.error
    request(database, run.id)

    assert LabelJobs(settings).once()

    assert found(database, run.id).error is None
    items = suspects.page(files.suspects(run.id)).items
    odd = [one["row_id"] for one in items if one["about"] == "odd"]
    assert len(set(WRONG) & set(odd[:12])) >= 8
    for one in items:
        assert set(one["label"].split("|")) ^ set(one["suggested"].split("|")) - {""} == {one["about"]}


def test_a_number_that_is_far_off_is_found_and_another_told(
    settings: Settings, database: Database, files: Files, real_runs: RealRuns
) -> None:
    texts, labels = toy(200)
    rows = []
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        score = (4.0 if label == "positive" else 1.0) + row % 5 / 10
        rows.append(f"{text} {row};{str(5.4 - score if row in WRONG else score).replace('.', ',')}")
    dataset = real_runs.upload("text;label\n" + "\n".join(rows))
    run = real_runs.train(dataset=dataset, task="score", epochs=1)
    assert run.state == "succeeded", run.error
    request(database, run.id)

    assert LabelJobs(settings).once()

    assert found(database, run.id).error is None
    page = suspects.page(files.suspects(run.id))
    first = page.items[: len(WRONG)]
    assert len(set(WRONG) & {one["row_id"] for one in first}) >= 8
    assert first[0]["off"] > 1.5 and first[0]["p_label"] is None and "," in first[0]["suggested"]
    assert page.summary.by[-1].startswith("the run’s own model")


def test_an_entity_that_is_wrong_is_found_and_the_whole_cell_written(
    settings: Settings, database: Database, files: Files, real_runs: RealRuns
) -> None:
    lines = []
    for row in range(120):
        name, kind = (("rome", "LOC"), ("anna", "PER"))[row % 2]
        kind = {"LOC": "PER", "PER": "LOC"}[kind] if row in WRONG else kind
        lines.append(f"we saw {name} {row},O O B-{kind} O")
    dataset = real_runs.upload("tokens,tags\n" + "\n".join(lines))
    columns = {"tokens": "tokens", "tags": "tags"}
    run = real_runs.train(dataset=dataset, task="tagging", columns=columns, epochs=1)
    assert run.state == "succeeded", run.error
    request(database, run.id)

    assert LabelJobs(settings).once()

    assert found(database, run.id).error is None
    page = suspects.page(files.suspects(run.id))
    wrong = [row for row in WRONG if row < 120]
    assert set(wrong) <= {one["row_id"] for one in page.items[: len(wrong) + 2]}
    one = next(one for one in page.items if one["row_id"] == 5)
    assert (one["label"], one["suggested"]) == ("O O B-LOC O", "O O B-PER O")
    assert one["entities"]["now"] == {"words": "anna=LOC", "spans": [[7, 11, "LOC"]]}
    assert [by.split(" ")[0] for by in page.summary.by] == ["words", "the", "the"]
