"""A whole file through the process that predicts it, with the model of a finished run."""

import csv
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from app.core import attempts, file_predictions, runs
from app.core.db import Database
from app.core.files import Files, new_id
from app.core.settings import Settings
from app.core.spec import RunSpec, parse_spec
from app.core.tables import FilePrediction
from tests.waiting import until
from tests.worker.tiny import build_bert, toy
from worker.backbone import load_classifier
from worker.export import export_model
from worker.file_jobs import FileJobs
from worker.predictor import Answering

pytestmark = pytest.mark.slow
LABELS = ["negative", "positive"]
Add = Callable[..., tuple[str, str]]


@pytest.fixture
def run_id(
    database: Database, files: Files, spec: RunSpec, tmp_path: Path, clock: Callable[[], float]
) -> str:
    """A finished run with a tiny model."""
    run_id = new_id()
    complete = parse_spec({**spec.model_dump(mode="json"), "max_length": 32})
    with database.write() as session:
        runs.create(session, run_id, complete, "0" * 64, clock())
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "succeeded", clock())
    folder = build_bert(tmp_path / "tiny", toy()[0])
    model, tokenizer = load_classifier(folder, LABELS, 1)
    files.run(run_id).mkdir(parents=True)
    export_model(model, tokenizer, "", files.model(run_id))
    return run_id


@pytest.fixture
def tagger(
    database: Database, files: Files, dataset_id: str, tmp_path: Path, clock: Callable[[], float]
) -> str:
    """A finished run of tagging, with a model that has learned nothing."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    run_id = new_id()
    spec = parse_spec(
        {
            "dataset": dataset_id,
            "dataset_version": 1,
            "task": "tagging",
            "columns": {"tokens": "tokens", "tags": "tags"},
            "max_length": 32,
            "name": "names",
        }
    )
    with database.write() as session:
        runs.create(session, run_id, spec, "0" * 64, clock())
        attempts.claim(session, run_id, clock())
        attempts.finish(session, run_id, 1, "succeeded", clock())
    folder = build_bert(tmp_path / "tagger", toy()[0])
    names = dict(enumerate(["B-PER", "I-PER", "O"]))
    torch.manual_seed(1)
    model = AutoModelForTokenClassification.from_pretrained(folder, id2label=names, dtype=torch.float32)
    files.run(run_id).mkdir(parents=True)
    export_model(model, AutoTokenizer.from_pretrained(folder), "", files.model(run_id))
    return run_id


@pytest.fixture
def add(database: Database, files: Files, run_id: str) -> Add:
    """Queues a file: (run, file)."""

    def queue(
        content: str, name: str = "new.csv", column: str = "text", run: str = run_id, role: str = "text"
    ) -> tuple[str, str]:
        with database.write() as session:
            made = file_predictions.create(session, run, name, {role: column}, 0.0)
            file_id = made.id
        folder = files.predicted(run, file_id)
        folder.mkdir(parents=True)
        (folder / "original").write_text(content, encoding="utf-8")
        return run, file_id

    return queue


def view(database: Database, where: tuple[str, str]) -> dict[str, Any]:
    with database.read() as session:
        return file_predictions.view(file_predictions.get(session, *where))


def result(files: Files, where: tuple[str, str]) -> list[dict[str, str]]:
    with (files.predicted(*where) / "result.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_comes_back_in_its_place_with_what_try_it_says(
    settings: Settings, database: Database, files: Files, add: Add
) -> None:
    texts = [*toy(40)[0], '=1+1 "quoted", and\ntwo lines', "", "a bad film"]
    rows = [f'{row},"{text.replace(chr(34), chr(34) * 2)}",-{row}' for row, text in enumerate(texts)]
    where = add("id,text,score\n" + "\n".join(rows) + "\n")

    assert FileJobs(settings).once()

    done = view(database, where)
    assert (done["state"], done["rows"], done["done"]) == ("succeeded", 43, 43), done["error"]
    found = result(files, where)
    assert [row["id"] for row in found] == [str(row) for row in range(43)]
    assert list(found[0]) == [
        "id",
        "text",
        "score",
        "predicted",
        "score (model)",
        "p: negative",
        "p: positive",
    ]
    assert found[40]["text"] == '\'=1+1 "quoted", and\ntwo lines'  # no formula
    assert found[3]["score"] == "-3"  # a number stays one
    assert found[41]["predicted"] == "" and found[42]["predicted"] in LABELS
    there = [row for row in range(43) if row != 41]
    answers = Answering(settings).predict(where[0], [texts[row] for row in there])
    for row, answer in zip(there, answers, strict=True):
        assert found[row]["predicted"] == answer["label"]
        assert float(found[row]["score (model)"]) == pytest.approx(answer["score"], abs=1e-5)
    assert [path.name for path in files.predicted(*where).iterdir() if path.suffix == ".part"] == []


SENTENCES = [["a", "good", "film"], ["the", "=story"], ["long", "evening", "and", "actors"]]


@pytest.mark.parametrize("kind", ["csv", "kaggle", "conll", "txt"])
def test_one_token_a_row_comes_back_with_a_tag_beside_each(
    settings: Settings, database: Database, files: Files, add: Add, tagger: str, kind: str
) -> None:
    numbered = [(str(number), token) for number, one in enumerate(SENTENCES, 7) for token in one]
    first = [(f"Sentence: {number}", token) for number, one in enumerate(SENTENCES) for token in one[:1]]
    content, name = {
        "csv": ("id,token,tag\n" + "".join(f"{a},{b},\n" for a, b in numbered), "new.csv"),
        "kaggle": (
            "Sentence #\tWord\n"
            + "".join(
                f"{begin[0] if at == 0 else ''}\t{token}\n"
                for begin, one in zip(first, SENTENCES, strict=True)
                for at, token in enumerate(one)
            ),
            "new.tsv",
        ),
        "conll": ("\n\n".join("\n".join(one) for one in SENTENCES), "new.conll"),
        "txt": ("\n\n".join("\n".join(one) for one in SENTENCES), "new.txt"),
    }[kind]
    content = content.replace("id,", "sentence_id,")
    where = add(content, name, "tokens", tagger, "tokens")

    FileJobs(settings).once()

    done = view(database, where)
    assert (done["state"], done["rows"], done["done"]) == ("succeeded", 9, 9), done["error"]
    found = result(files, where)
    token, tag = ("Word", "tag") if kind == "kaggle" else ("token", "tag (model)" if kind == "csv" else "tag")
    assert [row[token].removeprefix("'") for row in found] == [word for one in SENTENCES for word in one]
    answers = Answering(settings).predict(tagger, SENTENCES)
    assert [row[tag] for row in found] == [one for answer in answers for one in answer["tags"]]
    if kind in ("conll", "txt"):
        assert [row["sentence"] for row in found] == list("111223333")


def test_a_list_of_tokens_a_row_still_comes_back_row_by_row(
    settings: Settings, database: Database, files: Files, add: Add, tagger: str
) -> None:
    where = add("sentence_id,tokens\n1,a good film\n2,the story\n", "new.csv", "tokens", tagger, "tokens")

    FileJobs(settings).once()

    assert [len(row["tags"].split()) for row in result(files, where)] == [3, 2], view(database, where)


def test_rows_before_the_first_input_keep_their_places(
    settings: Settings, database: Database, files: Files, add: Add
) -> None:
    where = add("id,text\n" + "".join(f"{row},\n" for row in range(1100)) + "1100,a good film\n")

    FileJobs(settings).once()

    found = result(files, where)
    assert [row["id"] for row in found] == [str(row) for row in range(1101)]
    assert [row["predicted"] in LABELS for row in found] == [False] * 1100 + [True]


def test_a_file_without_the_column_says_which_there_are_and_can_be_tried_again(
    settings: Settings, database: Database, files: Files, add: Add
) -> None:
    where = add("comment,stars\na good film,5\n")
    jobs = FileJobs(settings)
    jobs.once()

    failed = view(database, where)
    assert failed["state"] == "failed"
    assert "there is no column 'text'; the file has 'comment', 'stars'" in failed["error"]["message"]

    with database.write() as session:
        file_predictions.retry(session, *where, {"text": "comment"})
    jobs.once()

    assert result(files, where)[0]["comment"] == "a good film"


def test_a_file_without_any_input_says_so(settings: Settings, database: Database, add: Add) -> None:
    where = add('id,text\n1,\n2," "\n')

    FileJobs(settings).once()

    assert "No row has an input in the column 'text'" in view(database, where)["error"]["message"]


@pytest.mark.usefixtures("real_starts")  # the process is found by its command line
def test_a_killed_process_is_taken_up_again(
    settings: Settings, database: Database, files: Files, add: Add
) -> None:
    where = add("text\n" + "a good film and a long evening\n" * 20_000)
    jobs = FileJobs(settings)
    first = threading.Thread(target=jobs.once)
    first.start()
    until(lambda: view(database, where)["rows"] is not None, "the rows of the file")
    child = next(
        one for one in psutil.Process().children() if "worker.predict_file" in " ".join(one.cmdline())
    )
    os.kill(child.pid, signal.SIGKILL)
    first.join()
    assert view(database, where)["state"] == "running"
    with database.write() as session:  # as if the lease had run out
        found = session.get(FilePrediction, where[1])
        assert found is not None
        found.lease_until = 0.0
        session.add(found)

    jobs.once()

    assert view(database, where)["state"] == "succeeded"
    assert len(result(files, where)) == 20_000


def test_cancel_stops_it(settings: Settings, database: Database, files: Files, add: Add) -> None:
    where = add("text\n" + "a good film and a long evening\n" * 50_000)
    jobs = FileJobs(settings)
    working = threading.Thread(target=jobs.once)
    working.start()
    until(lambda: view(database, where)["rows"] is not None, "the rows of the file")
    with database.write() as session:
        file_predictions.request_cancel(session, *where, 1.0)
    working.join()

    assert view(database, where)["state"] == "cancelled"
    assert not (files.predicted(*where) / "result.csv").exists()
