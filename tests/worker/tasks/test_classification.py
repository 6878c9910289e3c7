"""The torch half of classification: weights of classes, answers in order, long texts read alike everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.tasks import TASKS
from tests.worker.conftest import Case
from tests.worker.tasks.sequence import spec_of, trained
from tests.worker.tiny import FILLER, toy
from worker.tasks import TorchTask, torch_task
from worker.tasks.classification import Classification, balanced


def test_every_task_has_both_halves() -> None:
    for name in TASKS:
        assert issubclass(torch_task(name), TorchTask)


def test_balanced_weights_are_scikit_learns() -> None:
    assert balanced(np.array([0, 0, 0, 1]), 2) == pytest.approx((4 / 6, 2.0))
    assert balanced(np.array([0, 0, 2]), 3) == pytest.approx((0.75, 1.0, 1.5))


@pytest.mark.parametrize("family", ["bert-still", "gpt2-still"])
def test_answers_stand_in_the_order_of_the_inputs_whatever_their_length(
    case: Callable[..., Case], family: str
) -> None:
    loaded, spec = case(family, rows=40), spec_of("classification")
    loaded.model.eval()
    together = Classification.answer(loaded.model, loaded.tokenizer, spec, loaded.texts)
    for place in (0, 9, 39):
        (alone,) = Classification.answer(loaded.model, loaded.tokenizer, spec, [loaded.texts[place]])
        assert together[place]["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
    assert list(together[0]["probabilities"]) == ["negative", "positive"]


def long_toy(rows: int) -> dict[str, list[Any]]:
    """Texts whose telling word stands at the beginning, in the middle or at the end of 30 others, or of two."""
    texts, labels = toy(rows)
    filler = " ".join(FILLER * 3).split()[:30]
    long = [
        " ".join([*filler[: (0, 15, 30)[row % 3]], *text.split(), *filler[(0, 15, 30)[row % 3] :]])
        if row % 4
        else text
        for row, text in enumerate(texts)
    ]
    return {"text": long, "label": labels}


@pytest.mark.parametrize(
    ("family", "truncation", "options"),
    [
        ("bert", "windows", {}),
        ("llama", "windows", {"class_weights": "balanced"}),
        ("bert", "head_tail", {"focal_gamma": 2.0}),
        ("gpt2", "end", {"label_smoothing": 0.1}),
    ],
)
def test_long_texts_are_read_alike_in_training_evaluation_answers_and_by_the_cards_lines(
    folders: dict[str, Path], tmp_path: Path, family: str, truncation: str, options: dict[str, Any]
) -> None:
    fields = {"max_length": 16, "truncation": truncation, **options}
    run = trained("classification", folders[family], long_toy(96), tmp_path / "model", 1, **fields)

    answers = run.answers(run.texts)
    long = max(run.texts, key=len)
    found = run.card("A text to classify.", long)
    if truncation == "end":
        found = {one["label"]: one["score"] for one in found}
    assert found == pytest.approx(answers[run.texts.index(long)]["probabilities"], abs=1e-5)
    # The held-out rows were measured as they are answered.
    measured = {one.row_id: one for one in run.outcome.predictions}
    for row_id, answer in zip(run.parts["test"].examples.row_ids, answers, strict=True):
        assert measured[row_id].predicted == answer["label"]
        assert measured[row_id].detail["probability"] == pytest.approx(answer["score"], abs=1e-5)
    (note,) = run.outcome.results["notes"]
    assert note.startswith("72 of 96 texts are longer than 16 tokens; the model reads ")
    assert run.parts["train"].truncated == (0 if truncation == "windows" else 48)


def test_windows_find_the_word_that_cutting_loses(folders: dict[str, Path], tmp_path: Path) -> None:
    accuracy = {
        truncation: trained(
            "classification",
            folders["bert-still"],
            long_toy(160),
            tmp_path / truncation,
            10,
            max_length=16,
            truncation=truncation,
        ).outcome.metrics["accuracy"]
        for truncation in ("end", "windows")
    }
    assert accuracy["windows"] > accuracy["end"]
    assert accuracy["windows"] > 0.85
