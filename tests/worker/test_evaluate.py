import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from tests.worker.conftest import Case
from worker.encode import encode
from worker.evaluate import logits, scores, sigmoid, softmax

CPU = torch.device("cpu")


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_padding_changes_nothing(case: Callable[..., Case], family: str) -> None:
    loaded = case(family)
    together = logits(loaded.model, loaded.data, 16, CPU)
    alone = logits(loaded.model, loaded.data, 1, CPU)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_rows_come_back_in_their_order(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    loaded.model.eval()
    batch = loaded.tokenizer(loaded.texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = loaded.model(**batch).logits.numpy()
    np.testing.assert_allclose(logits(loaded.model, loaded.data, 7, CPU), expected, atol=1e-5)


def test_a_batch_too_large_for_the_memory_is_read_in_halves(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    expected = logits(loaded.model, loaded.data, 4, CPU)

    def refuse(_module: object, _args: object, inputs: dict[str, torch.Tensor]) -> None:
        if len(inputs["input_ids"]) > 5:
            torch.empty(2**58)

    loaded.model.register_forward_pre_hook(refuse, with_kwargs=True)
    np.testing.assert_allclose(logits(loaded.model, loaded.data, 16, CPU), expected, atol=1e-5)


def test_gpt2_is_read_at_the_last_real_token(case: Callable[..., Case]) -> None:
    loaded = case("gpt2")
    loaded.model.eval()
    result = logits(loaded.model, loaded.data, 8, CPU)
    for row in range(5):
        ids = loaded.data.ids[loaded.data.offsets[row] : loaded.data.offsets[row + 1]]
        with torch.no_grad():
            hidden = loaded.model.transformer(torch.tensor(ids.astype(np.int64))[None]).last_hidden_state
            expected = loaded.model.score(hidden[0, -1]).numpy()
        np.testing.assert_allclose(result[row], expected, atol=1e-5)


def test_dropout_is_off_and_the_mode_is_put_back(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    loaded.model.train()
    assert np.array_equal(
        logits(loaded.model, loaded.data, 8, CPU), logits(loaded.model, loaded.data, 8, CPU)
    )
    assert loaded.model.training


def test_an_empty_text_has_logits_too(case: Callable[..., Case]) -> None:
    loaded = case("gpt2")
    data = encode(loaded.tokenizer, ["", "good"], 16)
    assert np.isfinite(logits(loaded.model, data, 8, CPU)).all()


def test_no_rows_have_no_logits(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    assert logits(loaded.model, encode(loaded.tokenizer, [], 16), 8, CPU).shape == (0, 2)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_a_text_in_windows_has_the_mean_of_their_logits(case: Callable[..., Case], family: str) -> None:
    loaded = case(family)
    texts = ["good", "the film was good " * 9, "", "a bad story " * 5]
    data = encode(loaded.tokenizer, texts, 12, truncation="windows")
    assert data.owner is not None
    together = logits(loaded.model, data, 4, CPU)
    each = logits(loaded.model, dataclasses.replace(data, owner=None), 1, CPU)
    assert together.dtype == np.float32 and together.shape == (4, 2)
    for text in range(4):
        np.testing.assert_allclose(together[text], each[data.owner == text].mean(axis=0), atol=1e-5)


def test_sigmoid_survives_large_logits() -> None:
    assert sigmoid(np.array([[-2000.0, 0.0, 2000.0]], dtype=np.float32)).tolist() == [
        pytest.approx([0.0, 0.5, 1.0])
    ]


def test_scores_are_those_of_torch_and_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(200, 5)).astype(np.float32) * 3
    values[:, 4] = -50  # never predicted
    truth = generator.integers(0, 4, 200)
    found = scores(values, truth)
    predicted = values.argmax(1)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(values), torch.from_numpy(truth))
    assert found["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_softmax_survives_large_logits() -> None:
    found = softmax(np.array([[1000.0, 0.0], [0.0, 0.0]], dtype=np.float32))
    assert found.tolist() == [[1.0, 0.0], [0.5, 0.5]]
