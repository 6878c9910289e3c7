"""Who reads the texts of a search: of the encoders that can't have seen the labels, the one that tells most of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from app.core.settings import Settings
from app.models.catalog import ModelCatalog
from tests.worker.tiny import build_bert, build_gpt2, toy
from worker import readers
from worker.label_kinds import Kind, kind_of

NAMES = ["negative", "positive"]


@pytest.fixture
def models(settings: Settings) -> Path:
    assert settings.models_dir is not None
    return settings.models_dir


def best(asked: list[str], settings: Settings, texts: list[str], labels: list[str]) -> readers.Choice:
    def kind_of_rows(rows: Sequence[int]) -> Kind:
        return kind_of(False, [labels[row] for row in rows], NAMES)

    catalog = ModelCatalog(settings)
    return readers.best(asked, catalog, texts, texts, kind_of_rows, 2, 32, lambda _: None)


def test_encoders_are_tried_unless_they_have_learned_labels(settings: Settings, models: Path) -> None:
    texts = toy()[0]
    build_bert(models / "plain", texts)
    build_gpt2(models / "writer", texts)
    config = build_bert(models / "tuned", texts) / "config.json"
    told = json.loads(config.read_text(encoding="utf-8")) | {"id2label": {"0": "negative", "1": "positive"}}
    config.write_text(json.dumps(told), encoding="utf-8")
    catalog = ModelCatalog(settings)
    assert readers.candidates(catalog, "starter") == ["starter", "local:plain"]
    assert readers.candidates(catalog, "local:tuned") == ["local:tuned", "local:plain", "starter"]


def test_the_one_that_tells_most_of_the_labels_reads(settings: Settings, models: Path) -> None:
    texts, labels = toy(200)
    build_bert(models / "tells", texts)
    weights = build_bert(models / "blank", texts) / "model.safetensors"
    save_file({name: 0 * value for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    choice = best(["local:blank", "local:tells"], settings, texts, labels)
    assert choice.reader == "local:tells"
    assert choice.surprise["local:blank"] == pytest.approx(0.69, abs=0.03)  # ln 2: it knows nothing
    assert choice.surprise["local:tells"] < 0.66


def test_who_can_not_be_loaded_or_takes_too_long_is_left_out(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, labels = toy(200)
    build_bert(models / "tells", texts)
    assert best(["local:gone", "local:tells"], settings, texts, labels).reader == "local:tells"
    assert best(["local:gone", "local:none"], settings, texts, labels) == readers.Choice("local:gone", {})
    monkeypatch.setattr(readers, "MOST_SECONDS", 0.0)
    choice = best(["local:tells", "starter"], settings, texts, labels)
    assert choice.reader == "local:tells" and list(choice.surprise) == ["local:tells"]
