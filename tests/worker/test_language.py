"""The losses of language models: those of transformers, at the places that count, whatever stands beside them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from app.core.errors import Invalid
from tests.worker import tiny
from worker.backbone import load_pretrained, pad_id
from worker.batches import collate
from worker.language import Causal, LanguageLoss, logits_at, mean_loss, perplexity, row_losses
from worker.masking import Masked
from worker.packing import Document, flatten, pack
from worker.seeds import reseed

CPU = torch.device("cpu")
TEXTS, _ = tiny.toy(24)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("language")
    return {
        family: tiny.build(family, root / family, TEXTS, dropout=0.0)
        for family in (*tiny.ENCODERS, *tiny.DECODERS)
    }


def loaded(folder: Path, auto: Any) -> tuple[Any, Any]:
    model: Any = load_pretrained(folder, auto, lambda _: None, 1)
    return model[0].eval(), model[1]


@pytest.mark.parametrize("family", [*tiny.ENCODERS, *tiny.DECODERS])
def test_the_head_at_some_places_gives_the_models_own_logits(folders: dict[str, Path], family: str) -> None:
    auto = AutoModelForMaskedLM if family in tiny.ENCODERS else AutoModelForCausalLM
    model, tokenizer = loaded(folders[family], auto)
    batch = {key: value for key, value in tokenizer(TEXTS[:3], padding=True, return_tensors="pt").items()}
    where = (torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]))

    with torch.no_grad():
        found = logits_at(model, batch, where)
        whole = model(**batch).logits

    torch.testing.assert_close(found, whole[where], atol=1e-6, rtol=1e-5)
    assert not model.base_model._forward_hooks


def causal(tokenizer: Any) -> Causal:
    data = flatten([tokenizer(text)["input_ids"] for text in TEXTS])
    return Causal(data, np.ones(len(data.ids), dtype=np.bool_))


def test_the_causal_loss_is_that_of_transformers(folders: dict[str, Path]) -> None:
    model, tokenizer = loaded(folders["gpt2"], AutoModelForCausalLM)
    sums, counts = row_losses(model, causal(tokenizer), CPU)

    for row, text in enumerate(TEXTS):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            theirs = model(input_ids=ids, labels=ids).loss.item()
        assert sums[row] / counts[row] == pytest.approx(theirs, abs=1e-5)


def test_the_end_of_text_counts_though_it_is_also_the_padding(folders: dict[str, Path]) -> None:
    model, _ = loaded(folders["gpt2"], AutoModelForCausalLM)
    end = pad_id(model)
    data = flatten([[5, 6, end], [5, 6, 7, 8, 9, 10, end]])
    language = Causal(data, np.ones(len(data.ids), dtype=np.bool_))

    assert language.targets(np.arange(2), None).truth.tolist() == [6, end, 6, 7, 8, 9, 10, end]
    sums, counts = row_losses(model, language, CPU)
    assert counts.tolist() == [2, 6]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[5, 6, end]])).logits[0]
    assert sums[0] == pytest.approx(
        cross_entropy(logits[:2], torch.tensor([6, end]), reduction="sum").item(), abs=1e-5
    )


def test_what_is_not_learned_has_no_share_in_the_loss_or_its_gradient(folders: dict[str, Path]) -> None:
    model, _ = loaded(folders["llama"], AutoModelForCausalLM)
    learn = np.array([False, False, False, True, True])
    plain = LanguageLoss(Causal(flatten([[5, 6, 7, 8, 9]]), learn), 0)
    rows = np.array([0])

    loss = plain.loss(model, plain.batch(rows, CPU))
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).logits[0]
    # From the third token the fourth, from the fourth the fifth; nothing else.
    assert loss.item() == pytest.approx(
        cross_entropy(logits[2:4], torch.tensor([8, 9]), reduction="sum").item(), abs=1e-5
    )
    assert plain.weight(rows) == 2


def masked(tokenizer: Any, whole: bool = False) -> Masked:
    documents = []
    for text in TEXTS:
        batch = tokenizer([text], add_special_tokens=False)
        documents.append(Document(batch["input_ids"][0], batch.word_ids(0)))
    packed = pack(documents, 16, [2], [3], [3], types=True)
    return Masked(packed, tokenizer.mask_token_id, np.arange(5, len(tokenizer)), 0.15, whole)


@pytest.mark.parametrize("whole", [False, True])
def test_a_repeated_step_draws_the_same_masks_and_the_next_one_others(
    folders: dict[str, Path], whole: bool
) -> None:
    model, tokenizer = loaded(folders["bert"], AutoModelForMaskedLM)
    objective = LanguageLoss(masked(tokenizer, whole), pad_id(model))
    rows = np.arange(6)

    def loss(step: int, before: int) -> float:
        torch.rand(before)  # whatever ran before
        batch = objective.batch(rows, CPU)
        reseed(1, "dropout/0", step)
        with torch.no_grad():
            return float(objective.loss(model, batch))

    assert loss(3, 0) == loss(3, 17) != loss(4, 0)


def test_blocks_are_measured_alike_alone_and_in_a_batch(folders: dict[str, Path]) -> None:
    model, tokenizer = loaded(folders["bert"], AutoModelForMaskedLM)
    language = masked(tokenizer)
    sums, counts = row_losses(model, language, CPU)

    last = len(language.data) - 1  # the shortest
    targets = language.targets(np.array([last]), None)
    batch = collate(language.data, np.array([last]), pad_id(model), CPU)
    assert targets.shown is not None
    batch["input_ids"][0, targets.columns] = torch.from_numpy(targets.shown)
    with torch.no_grad():
        logits = model(**batch).logits[0, targets.columns]
    alone = cross_entropy(logits, torch.from_numpy(targets.truth), reduction="sum").item()
    assert language.data.lengths[last] < 16 and counts[last] == len(targets.truth)
    assert sums[last] == pytest.approx(alone, abs=1e-5)


def test_figures() -> None:
    assert mean_loss(np.array([1.0, 5.0]), np.array([1, 2])) == 2.0
    assert perplexity(np.log(50)) == pytest.approx(50)
    assert np.isfinite(perplexity(1e6))
    with pytest.raises(Invalid, match="diverged"):
        mean_loss(np.array([np.nan]), np.array([1]))
