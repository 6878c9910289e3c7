"""Scores really trained: the download gives the unit of the data in plain transformers, whatever the family's head."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from app.models.finished import labels_of
from tests.worker import tiny
from tests.worker.tasks.sequence import CPU, examples_of, spec_of, trained
from worker.export import export_model
from worker.tasks.score import Score, last_layer


def values(rows: int = 160, high: float = 80.0, low: float = 20.0) -> dict[str, list[Any]]:
    """Scores far from 0 and 1, told by one word."""
    texts, moods = tiny.toy(rows)
    return {
        "text": texts,
        "label": [(high if mood == "positive" else low) + row % 5 for row, mood in enumerate(moods)],
    }


def plain(folder: Path, texts: list[str]) -> list[float]:
    """What whoever loads the download sees."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model.eval()
    with torch.inference_mode():
        return [model(**tokenizer(text, return_tensors="pt")).logits.item() for text in texts]


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_it_learns_and_the_download_gives_the_unit_of_the_data(
    folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    run = trained("score", folders[family], values(), tmp_path / "model", 10)

    metrics, majority = run.outcome.metrics, run.outcome.baselines["majority"]
    assert metrics["rmse"] < 0.6 * majority["rmse"] and metrics["pearson"] > 0.8
    assert set(majority) == {"rmse", "mae"}  # what is constant has no correlation
    assert set(run.outcome.baselines["tfidf"]) == {"rmse", "mae", "pearson", "spearman"}
    assert set(run.scores[-1]) == {"loss", "rmse", "pearson"}
    assert run.scores[-1]["rmse"] > 1  # in the unit of the data too
    answers = [one["value"] for one in run.answers(run.texts)]
    measured = {one.row_id: one.detail["predicted"] for one in run.outcome.predictions}
    assert answers == pytest.approx([measured[row] for row in run.parts["test"].examples.row_ids], abs=1e-3)
    assert plain(run.folder, run.texts[:4]) == pytest.approx(answers[:4], abs=1e-3)
    assert run.card("A text to score.", run.texts[0]) == pytest.approx(answers[0], abs=1e-3)
    assert len(run.outcome.results["scatter"]["truth"]) == run.outcome.results["rows"] == 20
    assert run.half.advice(0.99, run.parts["train"], {"rmse": run.half.deviation}) is not None
    assert run.half.advice(0.99, run.parts["train"], {"rmse": run.half.deviation / 2}) is None


@pytest.mark.parametrize("family", [*tiny.ENCODERS, *tiny.DECODERS])
def test_every_familys_last_layer_takes_the_unit(family: str, tmp_path: Path) -> None:
    data = values(32)
    base = tiny.build(family, tmp_path / "base", data["text"], dropout=0.0)
    half = Score(spec_of("score"), examples_of(data), CPU)
    model, tokenizer = half.load(base, True)
    part = half.encode(tokenizer, examples_of(data).part("test"), lambda done, total: None)
    measured = half.logits(model, part)[:, 0] * half.deviation + half.offset

    half.finish(model, tokenizer)
    export_model(model, tokenizer, "card", tmp_path / "model")

    assert plain(tmp_path / "model", part.examples.texts) == pytest.approx(measured.tolist(), abs=1e-3)
    assert (half.offset == 0) == (family in tiny.DECODERS)  # their heads have no bias


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_head_without_a_bias_begins_at_the_mean_of_the_training_rows(
    folders: dict[str, Path], family: str
) -> None:
    data = examples_of(values(80, 51.0, 49.0))
    half = Score(spec_of("score"), data, CPU)
    model, tokenizer = half.load(folders[family], True)
    part = half.encode(tokenizer, data.part("train"), lambda done, total: None)
    half.objective(model, part)
    found = half.logits(model, part)[:, 0] * half.deviation + half.offset
    assert found.mean() == pytest.approx(half.mean, abs=1e-2)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_run_on_top_of_another_begins_with_its_scores(
    folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    first = trained("score", folders[family], values(64), tmp_path / "first", 2)
    data = examples_of(values(64, 800.0, 200.0))
    half = Score(spec_of("score"), data, CPU)
    model, tokenizer = half.load(first.folder, True)
    part = half.encode(tokenizer, data.part("test"), lambda done, total: None)
    half.objective(model, part)
    begins = half.logits(model, part)[:, 0] * half.deviation + half.offset
    assert labels_of(first.folder) == half.head()  # by which the trainer knows that the head fits
    assert begins.tolist() == pytest.approx(plain(first.folder, part.examples.texts), rel=1e-3)

    new = Score(spec_of("score"), data, CPU)
    again, _ = new.load(first.folder, False)
    assert not torch.equal(last_layer(again).weight, last_layer(model).weight)


def test_the_largest_errors_come_first(folders: dict[str, Path], tmp_path: Path) -> None:
    run = trained("score", folders["bert"], values(80), tmp_path / "model", 1)
    found = run.outcome.predictions
    assert all(
        one.badness == pytest.approx(abs(one.detail["truth"] - one.detail["predicted"])) for one in found
    )
    worst = max(found, key=lambda one: one.badness)
    assert worst.wrong and sum(one.wrong for one in found) < len(found)
    assert np.isfinite([one.badness for one in found]).all()
