"""Pairs really trained: both texts are read, with a mark between them, as a plain pipeline reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, pipeline

from tests.worker.tasks.sequence import trained
from tests.worker.tiny import FILLER, toy
from worker.tasks.pair import Pair


def values(rows: int = 160, fresh: bool = True) -> dict[str, list[Any]]:
    """The second text tells the label, the first says nothing; with `fresh` no two first texts are the same."""
    texts, labels = toy(rows)
    first = [" ".join(FILLER[(row + place) % 13] for place in range(3)) for row in range(rows)]
    if fresh:
        first = [f"{text} {row}" for row, text in enumerate(first)]
        texts = [f"{text} {row}" for row, text in enumerate(texts)]
    return {"text": first, "text_pair": texts, "label": labels}


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_it_learns_and_a_plain_pipeline_reads_the_pair_alike(
    folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    run = trained("pair", folders[family], values(), tmp_path / "model", 20)

    assert np.mean(run.losses[-5:]) < 0.7 * np.mean(run.losses[:5])
    examples = run.parts["test"].examples
    inputs = [
        {"text": first, "text_pair": second}
        for first, second in zip(examples["text"], examples["text_pair"], strict=True)
    ]
    answers = run.answers(inputs)
    plain = pipeline("text-classification", str(run.folder), truncation=True, max_length=32)
    for one, answer in list(zip(inputs, answers, strict=True))[:6]:
        found = {each["label"]: each["score"] for each in plain(one, top_k=None)}
        assert found == pytest.approx(answer["probabilities"], abs=1e-5)
    assert [one.detail["text_pair"] for one in run.outcome.predictions] == examples["text_pair"]
    assert {one["label"]: one["score"] for one in run.card()} == pytest.approx(
        run.answers([{"text": "A first text.", "text_pair": "A second one."}])[0]["probabilities"], abs=1e-5
    )
    assert run.outcome.results["notes"] == []

    tokenizer = AutoTokenizer.from_pretrained(run.folder)
    joined = tokenizer("good", "bad")["input_ids"]
    middle = {"bert": "[SEP]", "gpt2": "<|endoftext|>", "llama": "</s>"}[family]
    assert middle in tokenizer.convert_ids_to_tokens(joined)


def test_the_longer_text_of_a_pair_loses_its_end(folders: dict[str, Path], tmp_path: Path) -> None:
    data = values(64)
    data["text"] = [f"{text} {'story ' * 30}" for text in data["text"]]
    run = trained("pair", folders["bert"], data, tmp_path / "model", 1, max_length=24)
    plain = pipeline("text-classification", str(run.folder), truncation=True, max_length=24)
    one = {"text": data["text"][7], "text_pair": data["text_pair"][7]}
    found = {each["label"]: each["score"] for each in plain(one, top_k=None)}
    assert found == pytest.approx(run.answers([one])[0]["probabilities"], abs=1e-5)
    assert run.parts["test"].truncated == 8
    assert "64 of 64 texts are longer than 24 tokens" in run.outcome.results["notes"][0]


def test_known_texts_in_held_out_pairs_are_said(folders: dict[str, Path], tmp_path: Path) -> None:
    run = trained("pair", folders["bert"], values(64, fresh=False), tmp_path / "model", 1)
    (note,) = run.outcome.results["notes"]
    assert note.startswith("8 of 8 held-out pairs have a text that is in a training pair too")


def test_the_inputs_of_predict_become_columns() -> None:
    found = Pair.columns([{"text": "a", "text_pair": "b"}, {"text": "c", "text_pair": "d"}])
    assert found == {"text": ["a", "c"], "text_pair": ["b", "d"]}
