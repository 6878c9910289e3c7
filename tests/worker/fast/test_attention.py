"""Our attention is transformers' own, with dropout added."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tests.worker import tiny
from worker.backbone import load_classifier
from worker.fast import quickened
from worker.fast.attention import NAME, Attend, attention
from worker.fast.dropout import kept
from worker.seeds import reseed

ALMOST_NONE = 1e-9  # rounds to no level of a random number: our code runs and drops nothing


def tensors(heads: int = 4, key_heads: int = 4, length: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return (
        torch.randn(3, heads, length, 8, requires_grad=True),
        torch.randn(3, key_heads, length, 8, requires_grad=True),
        torch.randn(3, key_heads, length, 8, requires_grad=True),
    )


def module(causal: bool, groups: int = 1) -> nn.Module:
    made = nn.Module()
    made.is_causal, made.num_key_value_groups = causal, groups  # type: ignore[assignment]
    return made


PADDED = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])[:, None, None, :]


@pytest.mark.parametrize(
    ("mask", "causal", "key_heads"),
    [
        (None, False, 4),
        (PADDED, False, 4),
        (PADDED.expand(3, 1, 5, 5), False, 4),
        (torch.zeros(3, 1, 1, 5).masked_fill(~PADDED, torch.finfo(torch.float32).min), False, 4),
        (None, True, 4),
        (PADDED & torch.ones(5, 5, dtype=torch.bool).tril(), True, 2),
        (None, True, 2),
    ],
    ids=["all", "padded", "padded, in full", "added", "causal", "causal, padded, grouped", "causal, grouped"],
)
def test_without_dropout_outputs_and_gradients_are_those_of_sdpa(
    mask: Tensor | None, causal: bool, key_heads: int
) -> None:
    found = []
    for function, dropout in ((attention, ALMOST_NONE), (sdpa_attention_forward, 0.0)):
        q, k, v = tensors(key_heads=key_heads)
        output, _ = function(module(causal, 4 // key_heads), q, k, v, mask, dropout=dropout, scaling=0.3)
        (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()  # type: ignore[no-untyped-call]
        found.append([output, q.grad, k.grad, v.grad])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_the_gradient_with_dropout_is_that_of_the_same_mask_written_out() -> None:
    q, k, v = tensors()
    reseed(1, "dropout")
    output = Attend.apply(q, k, v, None, 0.3, 0.4)  # type: ignore[no-untyped-call]
    output.square().sum().backward()
    given = [each.grad.clone() for each in (q, k, v)]  # type: ignore[union-attr]
    reseed(1, "dropout")
    mask = kept(torch.Size((12, 5, 5)), 0.4).view(3, 4, 5, 5)
    q, k, v = tensors()
    expected = (((q @ k.transpose(2, 3) * 0.3).softmax(-1) * mask) @ v).transpose(1, 2)
    expected.square().sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=1e-5)
    for ours, each in zip(given, (q, k, v), strict=True):
        torch.testing.assert_close(ours, each.grad, atol=1e-5, rtol=1e-5)


def test_a_query_that_may_look_nowhere_is_a_finite_number() -> None:
    q, k, v = tensors()
    output, _ = attention(module(False), q, k, v, torch.zeros(3, 1, 5, 5, dtype=torch.bool), dropout=0.1)
    assert output.isfinite().all()


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "llama", "gpt2", "modernbert"])
def test_models_ask_for_it_give_the_same_and_get_their_own_back(family: str, tmp_path: Path) -> None:
    texts, _ = tiny.toy(20)
    folder = tiny.build(family, tmp_path / family, texts)
    model, tokenizer = load_classifier(folder, ["a", "b"], 1)
    batch = tokenizer(texts[:4], padding=True, return_tensors="pt")
    plain = model.eval()(**batch).logits  # type: ignore[no-untyped-call]
    before = model.config._attn_implementation
    with quickened(model):
        assert model.config._attn_implementation == (NAME if before == "sdpa" else before)
        torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=1e-5)
        model.train()
        reseed(1, "dropout")
        first = model(**batch).logits
        reseed(1, "dropout")
        assert torch.equal(first, model(**batch).logits)  # the seed decides all masks
        assert first.isfinite().all()
    assert model.config._attn_implementation == before
    assert torch.equal(model.eval()(**batch).logits, plain)  # type: ignore[no-untyped-call]
