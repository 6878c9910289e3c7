"""Multilabel really trained: thresholds of the validation rows, in the download and in its answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, pipeline

from tests.worker.tasks.sequence import trained
from tests.worker.tiny import toy
from worker.tasks.multilabel import balanced, cross_entropy


def values(rows: int = 160) -> dict[str, list[Any]]:
    """Two labels that words tell, one that few rows have; each sixth row has none."""
    texts, moods = toy(rows)
    labels = []
    for row, (text, mood) in enumerate(zip(texts, moods, strict=True)):
        found = {mood} if row % 6 else set()
        if "evening" in text.split() and row % 6:
            found.add("late")
        labels.append(sorted(found))
    texts = [text if row % 6 else "the and a story" for row, text in enumerate(texts)]
    return {"text": texts, "label": labels}


@pytest.mark.parametrize(("family", "options"), [("bert", {}), ("gpt2", {"class_weights": "balanced"})])
def test_it_learns_and_the_download_answers_as_it_was_measured(
    folders: dict[str, Path], tmp_path: Path, family: str, options: dict[str, Any]
) -> None:
    run = trained("multilabel", folders[family], values(), tmp_path / "model", 8, **options)

    assert np.mean(run.losses[-4:]) < 0.7 * np.mean(run.losses[:4])
    assert run.outcome.metrics["micro_f1"] > run.outcome.baselines["majority"]["micro_f1"]
    assert set(run.outcome.metrics) == set(run.outcome.baselines["tfidf"]) == {"micro_f1", "macro_f1"}
    assert set(run.scores[0]) == {"loss", "micro_f1", "macro_f1"}
    config = json.loads((run.folder / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    per_class = run.outcome.results["per_class"]
    assert config["headstart_thresholds"] == {one["label"]: one["threshold"] for one in per_class}
    assert list(config["headstart_thresholds"]) == ["late", "negative", "positive"]

    answers = run.answers([*run.texts, ""])
    measured = {one.row_id: one for one in run.outcome.predictions}
    for row_id, answer in zip(run.parts["test"].examples.row_ids, answers, strict=False):
        assert measured[row_id].detail["predicted"] == answer["labels"]
        assert measured[row_id].wrong == (measured[row_id].detail["true"] != answer["labels"])
    # The plain pipeline gives the same probabilities, and the card's lines the same labels.
    found = pipeline("text-classification", str(run.folder))(run.texts[0], top_k=None)
    assert {one["label"]: one["score"] for one in found} == pytest.approx(
        answers[0]["probabilities"], abs=1e-5
    )
    for text, answer in list(zip(run.texts, answers, strict=False))[:5]:
        assert sorted(run.card("A text to classify.", text)) == answer["labels"]
    assert "of 160 rows have no label" in " ".join(run.outcome.results["notes"])


def test_windows_give_the_card_other_lines_with_the_same_answer(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    run = trained(
        "multilabel", folders["bert"], values(64), tmp_path / "model", 1, max_length=8, truncation="windows"
    )
    long = max(run.texts, key=len)
    assert sorted(run.card("A text to classify.", long)) == run.answers([long])[0]["labels"]


def test_a_run_that_was_cancelled_before_its_thresholds_were_tuned_answers_at_a_half(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    run = trained("multilabel", folders["bert"], values(64), tmp_path / "model", 1)
    plain = AutoModelForSequenceClassification.from_pretrained(run.folder)
    del plain.config.headstart_thresholds
    answer = run.half.outputs(plain, np.array([[0.1, -0.1, 3.0]], dtype=np.float32))[0]
    assert answer["labels"] == ["late", "positive"]
    assert answer["probabilities"]["late"] == pytest.approx(1 / (1 + np.exp(-0.1)), abs=1e-6)


def test_a_run_on_top_forgets_the_thresholds(folders: dict[str, Path], tmp_path: Path) -> None:
    first = trained("multilabel", folders["bert"], values(64), tmp_path / "first", 1)
    data = {"text": values(64)["text"], "label": [float(row % 7) for row in range(64)]}
    trained("score", first.folder, data, tmp_path / "second", 1)
    assert "headstart_thresholds" in (first.folder / "config.json").read_text()
    assert "headstart_thresholds" not in (tmp_path / "second" / "config.json").read_text()


def test_balanced_weights_are_the_odds_against_a_label_and_bounded() -> None:
    truth = np.zeros((100, 4), dtype=bool)
    truth[:25, 0] = truth[:80, 1] = truth[:2, 2] = True
    assert balanced(truth).tolist() == [3.0, 1.0, 10.0, 10.0]


def test_the_loss_is_that_of_torch_for_large_logits_too() -> None:
    found = cross_entropy(
        np.array([[800.0, -800.0], [0.0, 0.0]], dtype=np.float32), np.array([[1, 0], [1, 0]]) > 0
    )
    assert found == pytest.approx(np.log(2) / 2)
