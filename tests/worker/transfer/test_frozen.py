from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from app.core.strategies import Head, Partial
from tests.worker.conftest import LABELS, Case
from tests.worker.tiny import DECODERS, ENCODERS, build, toy
from worker import evaluate
from worker.backbone import load_classifier, pad_id, quiet
from worker.causal import load_causal
from worker.encode import Encoded, encode
from worker.fast import quickened
from worker.language import Causal, row_losses
from worker.loop import Evaluated, Recipe, Step, train
from worker.losses import CrossEntropy
from worker.transfer import frozen, make_plan
from worker.transfer.cache import Cache
from worker.transfer.frozen import EVERY_EPOCH, ONCE, computed_once

CPU = torch.device("cpu")
RECIPE = Recipe(2, 8, 1, 1e-3, 0.0, 0.01, 1.0, None, None, 1)
HEAD, PARTIAL = Head(kind="head"), Partial(kind="partial", layers=1)
PLENTY = 2**30


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    texts, _ = toy(60)
    return {
        family: build(family, tmp_path_factory.mktemp(family), texts) for family in (*ENCODERS, *DECODERS)
    }


class Run:
    """Trains on the toy data, with the frozen part from a cache or without one. Blocks that run are counted."""

    def __init__(self, folder: Path, options: Any, rows: int = 48) -> None:
        self.model: Any
        self.model, tokenizer = load_classifier(folder, LABELS, 1)
        texts, labels = toy(rows)
        self.truth = np.array([LABELS.index(label) for label in labels], dtype=np.int64)
        self.data, self.check = encode(tokenizer, texts, 32), encode(tokenizer, texts[::3], 32)
        self.plan = make_plan(self.model, options, 0.01)
        self.lines: list[str] = []
        self.told: list[tuple[int, int]] = []
        self.how: str | None = None
        self.ran = 0  # times that the first block was computed during the training
        self.scores: list[dict[str, float]] = []

    def train(self, cache: Cache | None, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
        if cache is None:
            self._loop(meanwhile)
        else:
            with computed_once(
                self.model,
                self.plan.frozen,
                [self.data, self.check],
                CPU,
                cache,
                self.lines.append,
                lambda done, total: self.told.append((done, total)),
            ) as self.how:
                self._loop(meanwhile)
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def _loop(self, meanwhile: Callable[[], None]) -> None:
        def judge(model: nn.Module) -> dict[str, float]:
            return evaluate.scores(evaluate.logits(model, self.check, 16, CPU), self.truth[::3])

        objective = CrossEntropy(self.data, self.truth, pad_id(self.model))
        inner = next(
            module for module in self.plan.frozen[0].modules() if isinstance(module, nn.Linear | nn.LayerNorm)
        )
        hook = inner.register_forward_hook(self._count)
        for event in train(self.model, objective, RECIPE, self.plan, judge, "accuracy", CPU):
            if isinstance(event, Step) and event.step == 3:
                meanwhile()
            if isinstance(event, Evaluated):
                self.scores.append(event.scores)
        hook.remove()

    def _count(self, *_: Any) -> None:
        self.ran += 1


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def near(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """But for the biases of keys: softmax doesn't see them, so their gradient is rounding alone, which Adam makes large."""
    names = [name for name in one if not name.endswith(("key.bias", "k.bias", "k_lin.bias", "c_attn.bias"))]
    return all(torch.allclose(one[name], other[name], rtol=0, atol=1e-5) for name in names)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
@pytest.mark.parametrize("options", [HEAD, PARTIAL], ids=["head", "partial"])
def test_trains_as_with_the_frozen_blocks_run_and_does_not_run_them(
    families: dict[str, Path], tmp_path: Path, family: str, options: Any
) -> None:
    if family == "albert" and options is PARTIAL:
        pytest.skip("one set of weights: nothing stays frozen")
    plain, once = Run(families[family], options), Run(families[family], options)
    wanted, found = plain.train(None), once.train(Cache(tmp_path, PLENTY))
    assert once.how == ONCE
    assert once.ran == 0
    assert plain.ran > 0
    assert near(wanted, found)
    assert [list(one) for one in once.scores] == [list(one) for one in plain.scores]
    for one, other in zip(once.scores, plain.scores, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("options", [HEAD, PARTIAL], ids=["head", "partial"])
def test_cached_and_computed_again_give_the_same_bits(
    families: dict[str, Path], tmp_path: Path, options: Any
) -> None:
    def delete() -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    cold, warm, cut, memory = (Run(families["bert"], options) for _ in range(4))
    wanted = cold.train(Cache(tmp_path, PLENTY))
    assert "computed once" in cold.lines[0]
    assert "on disk" in cold.lines[0]
    assert cold.told[-1][0] == cold.told[-1][1] > 0

    assert same(warm.train(Cache(tmp_path, PLENTY)), wanted)
    assert "earlier run" in warm.lines[0]
    assert warm.told == []

    assert same(cut.train(Cache(tmp_path, PLENTY), meanwhile=delete), wanted)
    assert "earlier run" in cut.lines[0]
    again = Run(families["bert"], options)
    assert same(again.train(Cache(tmp_path, PLENTY)), wanted)
    assert "computed once" in again.lines[0]

    assert same(memory.train(Cache(tmp_path / "none", 0)), wanted)
    assert "in memory" in memory.lines[0]
    assert not (tmp_path / "none").exists()


def test_without_room_the_frozen_part_is_run_in_every_epoch(
    families: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "MOST_MEMORY", 1000)
    plain, one = Run(families["bert"], PARTIAL), Run(families["bert"], PARTIAL)
    assert same(one.train(Cache(tmp_path, 1000)), plain.train(None))
    assert one.how == EVERY_EPOCH
    assert one.ran == plain.ran
    assert "HEADSTART_CACHE_GB" in one.lines[0]


def test_a_disk_that_runs_full_is_no_failure(
    families: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    plain, one = Run(families["bert"], HEAD), Run(families["bert"], HEAD)
    wanted = plain.train(Cache(tmp_path, PLENTY))
    monkeypatch.setattr("os.posix_fallocate", full)
    assert same(one.train(Cache(tmp_path / "full", PLENTY)), wanted)
    assert "No space left" in one.lines[1]
    assert list((tmp_path / "full").iterdir()) == []


def test_other_weights_or_tokens_or_blocks_find_nothing(families: dict[str, Path], tmp_path: Path) -> None:
    Run(families["bert"], HEAD).train(Cache(tmp_path, PLENTY))
    others = [
        Run(families["bert"], PARTIAL),
        Run(families["bert"], HEAD, rows=45),
        Run(families["bert"], HEAD),
    ]
    with torch.no_grad():
        others[2].model.bert.encoder.layer[0].output.dense.bias += 1e-3
    for other in others:
        other.train(Cache(tmp_path, PLENTY))
        assert "computed once" in other.lines[0]


def test_another_head_finds_the_same_output(families: dict[str, Path], tmp_path: Path) -> None:
    Run(families["bert"], HEAD).train(Cache(tmp_path, PLENTY))
    other = Run(families["bert"], HEAD)
    with torch.no_grad():
        other.model.classifier.weight *= 2
    other.train(Cache(tmp_path, PLENTY))
    assert "earlier run" in other.lines[0]


def test_rows_that_are_not_known_run_the_plain_way(case: Callable[..., Case], tmp_path: Path) -> None:
    one = case("gpt2-still")
    plan = make_plan(one.model, HEAD, 0.0)
    one.model.eval()
    strange = encode(one.tokenizer, ["an evening of many lovely actors"], 32)
    inputs = {"input_ids": torch.from_numpy(strange.ids.astype(np.int64))[None]}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.inference_mode():
        wanted = one.model(**inputs).logits
        with computed_once(
            one.model, plan.frozen, [one.data], CPU, Cache(tmp_path, 0), print, lambda *_: None
        ):
            assert torch.equal(one.model(**inputs).logits, wanted)
            assert torch.equal(one.model(inputs["input_ids"]).logits, wanted)
            assert one.model(**inputs, use_cache=True).past_key_values.get_seq_length() == len(strange.ids)
    assert "forward" not in vars(one.model)


def test_rows_of_the_same_tokens_are_kept_once_and_windows_like_texts(
    case: Callable[..., Case], tmp_path: Path
) -> None:
    one = case("bert-still")
    twice = encode(one.tokenizer, [*one.texts, *one.texts, "a " * 40], 16, truncation="windows")
    plan = make_plan(one.model, PARTIAL, 0.0)
    wanted = evaluate.logits(one.model, twice, 8, CPU)
    told: list[tuple[int, int]] = []
    with computed_once(
        one.model, plan.frozen, [twice], CPU, Cache(tmp_path, PLENTY), print, lambda *at: told.append(at)
    ):
        assert np.allclose(evaluate.logits(one.model, twice, 8, CPU), wanted, atol=1e-5)
    assert told[-1][1] < len(twice) / 2 + 8


def test_an_encoder_decoder_is_left_alone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = build("bart", tmp_path_factory.mktemp("bart"), toy(40)[0])
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    plan = make_plan(model, PARTIAL, 0.0)
    row = Encoded(
        np.array([5], np.int32), np.array([0, 1]), np.array([1], np.int32), np.zeros(0, dtype=np.int64)
    )
    with computed_once(
        model, plan.frozen, [row], CPU, Cache(tmp_path, PLENTY), print, lambda *_: None
    ) as how:
        assert how is None
        assert "forward" not in vars(model)


def test_a_cancel_leaves_nothing_behind(families: dict[str, Path], tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(_done: int, _total: int) -> None:
        raise Cancelled

    one = Run(families["bert"], HEAD)
    one.model.train()
    with (
        pytest.raises(Cancelled),
        computed_once(one.model, one.plan.frozen, [one.data], CPU, Cache(tmp_path, PLENTY), print, cancel),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
    assert one.model.training
    assert not any("forward" in vars(module) for module in one.model.modules())


def test_a_decoder_that_learns_to_write_is_judged_alike(tmp_path: Path, tmp_path_factory: Any) -> None:
    texts, _ = toy(40)
    model: Any
    model, tokenizer, _ = load_causal(build("gpt2", tmp_path_factory.mktemp("gpt2"), texts), 1)
    data = encode(tokenizer, texts, 32)
    language = Causal(data, np.ones(len(data.ids), dtype=np.bool_))
    plan = make_plan(model, PARTIAL, 0.0)
    wanted, counts = row_losses(model, language, CPU)
    told: list[int] = []
    with computed_once(
        model, plan.frozen, [data], CPU, Cache(tmp_path, 0), print, lambda done, _: told.append(done)
    ) as how:
        found, _ = row_losses(model, language, CPU)
        prompt = {"input_ids": torch.from_numpy(data.ids[None, :4].astype(np.int64))}
        written = model.generate(**prompt, max_new_tokens=3, do_sample=False)
    assert how == ONCE
    assert told
    assert np.allclose(found / counts, wanted / counts, atol=1e-5)
    assert torch.equal(model.generate(**prompt, max_new_tokens=3, do_sample=False), written)


@pytest.mark.parametrize("options", [HEAD, PARTIAL], ids=["head", "partial"])
@pytest.mark.parametrize("family", ["bert", "mpnet", "gpt2"])
def test_works_inside_what_makes_blocks_faster(
    families: dict[str, Path], tmp_path: Path, family: str, options: Any
) -> None:
    plain, once = Run(families[family], options), Run(families[family], options)
    with quickened(plain.model):
        wanted = plain.train(None)
    with quickened(once.model):
        found = once.train(Cache(tmp_path, PLENTY))
    assert once.how == ONCE
    assert once.ran == 0
    assert near(wanted, found)
    assert not any("forward" in vars(module) for module in once.model.modules())
