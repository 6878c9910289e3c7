"""Answers of the predictor: in order, from the right model, and errors as sentences."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.broker import redis_client, valkey_command, wait_until_ready
from app.core import runs
from app.core.db import Database
from app.core.errors import Conflict
from app.core.files import Files, new_id
from app.core.settings import Settings
from app.core.spec import parse_spec
from tests.worker.tiny import toy
from worker.backbone import load_classifier
from worker.export import export_model
from worker.predictor import Answering


@pytest.fixture
def run_id(database: Database, files: Files, folders: dict[str, Path], bare_run: str) -> str:
    model, tokenizer = load_classifier(folders["bert"], ["negative", "positive"], 1)
    export_model(model, tokenizer, "card", files.model(bare_run))
    return bare_run


@pytest.fixture
def bare_run(database: Database, files: Files, dataset_id: str) -> str:
    spec = parse_spec(
        {
            "dataset": dataset_id,
            "dataset_version": 1,
            "task": "classification",
            "columns": {"text": "text", "label": "label"},
            "name": "toy",
            "max_length": 32,
        }
    )
    run_id = new_id()
    with database.write() as session:
        runs.create(session, run_id, spec, "0" * 64, 0.0)
    files.run(run_id).mkdir(parents=True)
    return run_id


@pytest.fixture
def broker(settings: Settings) -> Iterator[Settings]:
    valkey = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
    assert wait_until_ready(settings, 20)
    yield settings
    valkey.terminate()
    valkey.wait(20)


def test_each_input_gets_its_own_output_in_order(run_id: str, settings: Settings) -> None:
    texts, _ = toy(70)
    answering = Answering(settings)
    together = answering.predict(run_id, texts)
    for place in (0, 13, 69):
        (alone,) = answering.predict(run_id, [texts[place]])
        assert together[place]["label"] == alone["label"]
        assert together[place]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    assert all(list(one["probabilities"]) == ["negative", "positive"] for one in together)
    assert all(one["score"] == one["probabilities"][one["label"]] for one in together)


def test_an_empty_text_is_answered_even_by_a_decoder(
    bare_run: str, settings: Settings, files: Files, folders: dict[str, Path]
) -> None:
    model, tokenizer = load_classifier(folders["gpt2"], ["negative", "positive"], 1)
    export_model(model, tokenizer, "card", files.model(bare_run))
    answering = Answering(settings)
    (alone,) = answering.predict(bare_run, [""])
    together = answering.predict(bare_run, ["the film was good", "", "<|endoftext|>"])
    assert together[1]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    assert together[2]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)


def test_no_input_gives_no_output(run_id: str, settings: Settings) -> None:
    assert Answering(settings).predict(run_id, []) == []


def test_a_run_without_a_model_is_a_conflict(bare_run: str, settings: Settings) -> None:
    with pytest.raises(Conflict, match="no finished model"):
        Answering(settings).predict(bare_run, ["x"])


def test_a_deleted_model_is_forgotten(run_id: str, settings: Settings, files: Files) -> None:
    answering = Answering(settings)
    answering.predict(run_id, ["x"])
    files.model(run_id).rename(files.model(run_id).with_name("gone"))
    with pytest.raises(Conflict):
        answering.predict(run_id, ["x"])


def test_the_answer_comes_over_the_broker_and_expires(run_id: str, broker: Settings) -> None:
    answering = Answering(broker)
    answering.answer(run_id, ["the film was good"], "answer:1", deadline=2e12)
    answering.answer("a" * 12, ["x"], "answer:2", deadline=2e12)
    answering.answer(run_id, ["x"], "answer:3", deadline=0.0)
    with redis_client(broker) as client:
        assert set(json.loads(client.lindex("answer:1", 0))) == {"outputs"}
        assert json.loads(client.lindex("answer:2", 0))["error"]["kind"] == "conflict"
        assert 0 < client.ttl("answer:1") <= 60
        assert client.exists("answer:3") == 0  # nobody waits any more
