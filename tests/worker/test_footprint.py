"""What a training takes is counted before it begins, and what is chosen changes memory and time alone."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from app.core.strategies import Full, Partial
from tests.worker.conftest import Case
from tests.worker.test_loop import begin, losses, recipe
from tests.worker.tiny import build, toy
from worker import plan as plans
from worker.backbone import pad_id
from worker.batches import collate
from worker.footprint import FEW, SHARE, Fit, Footprint, fit, footprint, free_bytes, settle
from worker.ranks import ALONE, Ranks
from worker.transfer import make_plan

CPU = torch.device("cpu")


def test_the_most_rows_that_fit_are_taken_and_checkpoints_only_where_few_would() -> None:
    need = Footprint(fixed=100, row=10, thrifty=2)
    assert fit(need, free=1e9, rows=32) == Fit(32, False)
    assert fit(need, free=(100 + 160) / 0.9 + 1, rows=32) == Fit(16, False)
    assert fit(need, free=(100 + 80) / 0.9 + 1, rows=32) == Fit(FEW, False)
    assert fit(need, free=(100 + 79) / 0.9, rows=32) == Fit(32, True)
    assert fit(need, free=(100 + 40) / 0.9, rows=32) == Fit(16, True)
    assert fit(need, free=50, rows=32) == Fit(1, True)
    assert fit(need, free=(100 + 20) / 0.9 + 1, rows=2) == Fit(2, False)


def test_it_counts_about_what_a_training_keeps(case: Callable[..., Case]) -> None:
    loaded = case("bert", rows=32)
    tokens = int(loaded.data.lengths.max())
    plan = make_plan(loaded.model, Full(), 0.01)
    need = footprint(loaded.model, plan, tokens, CPU)
    numbers = sum(parameter.numel() for parameter in loaded.model.parameters())
    assert need.fixed == 12 * numbers
    weights = {parameter.data_ptr() for parameter in loaded.model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    loaded.model.train()
    rows = [int(loaded.data.lengths.argmax())] * 8
    batch = collate(loaded.data, torch.tensor(rows).numpy(), pad_id(loaded.model), CPU)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loaded.model(**batch)
    assert sum(kept.values()) < 8 * need.row < 3 * sum(kept.values())


def test_frozen_blocks_keep_nothing(case: Callable[..., Case]) -> None:
    loaded = case("bert")
    whole = footprint(loaded.model, make_plan(loaded.model, Full(), 0.01), 20, CPU)
    plan = make_plan(loaded.model, Partial(kind="partial", layers=1), 0.01)
    upper = footprint(loaded.model, plan, 20, CPU)
    assert upper.row == whole.row / 2
    assert upper.fixed == 12 * plan.trainable < whole.fixed


def test_a_language_model_keeps_its_logits_too(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(build("llama", tmp_path / "llama", toy()[0]))
    plan = make_plan(model, Full(), 0.01)
    block = footprint(model, plan, 10, CPU)
    model.get_output_embeddings = lambda: None
    assert block.row - footprint(model, plan, 10, CPU).row == 12 * 10 * model.config.vocab_size


def test_there_is_memory_for_something() -> None:
    assert free_bytes(CPU) > 2**20


@pytest.fixture
def settled(tmp_path: Path, case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settles for the model "bert" with so many free bytes: (rows, the plan, what was said, the model)."""
    path = tmp_path / "plan.json"

    def run(free: float, family: str = "bert") -> tuple[int, dict[str, Any], list[str], Any]:
        monkeypatch.setattr("worker.footprint.free_bytes", lambda _device: free)
        loaded = case(family)
        said: list[str] = []
        plans.frozen_plan(path, CPU, 32)
        plan = make_plan(loaded.model, Full(), 0.01)
        rows = settle(path, loaded.model, plan, (32, 20), CPU, ALONE, said.append).micro_batch
        return rows, plans.read(path), said, loaded.model

    return run


def test_where_all_fits_nothing_is_changed_or_said(settled: Any) -> None:
    rows, plan, said, model = settled(1e12)
    assert (rows, plan["micro_batch"], plan["checkpointing"], said) == (32, 32, False, [])
    assert not model.is_activation_checkpointing


def test_what_was_chosen_is_said_and_later_attempts_keep_to_it(settled: Any) -> None:
    rows, plan, said, model = settled(1e6)
    assert model.is_activation_checkpointing and plan["checkpointing"] and rows == plan["micro_batch"] < 32
    assert " ".join(said) == (
        f"To fit the memory (0.0 GB are free) it is {rows} of the longest rows at a time, more of shorter ones, and each block is computed twice to keep less; "
        "the effective batch stays the same."
    )
    again, same, silent, model = settled(1e12)
    assert (again, same, silent) == (rows, plan, [])
    assert model.is_activation_checkpointing


class Two(Ranks):
    world = 2


@pytest.mark.parametrize(
    ("shard", "room", "sharded"), [(False, 1.1, False), (False, 0.9, True), (True, 1.1, True)]
)
def test_blocks_are_spread_over_processes_where_one_has_no_room_or_it_is_asked_for(
    tmp_path: Path,
    case: Callable[..., Case],
    monkeypatch: pytest.MonkeyPatch,
    shard: bool,
    room: float,
    sharded: bool,
) -> None:
    """`room`: for so much of one row, in each of two processes."""
    model, path, said = case("bert").model, tmp_path / "plan.json", list[str]()
    plan = make_plan(model, Full(), 0.01)
    need = footprint(model, plan, 20, CPU)
    free = 2 * (need.fixed + room * need.thrifty) / SHARE
    monkeypatch.setattr("worker.footprint.free_bytes", lambda _device: free)
    plans.frozen_plan(path, CPU, 32)
    found = settle(path, model, plan, (32, 20), CPU, Two(), said.append, shard=shard)
    assert (found.sharded, plans.read(path)["sharded"]) == (sharded, sharded)
    assert ("FSDP2" in said[0]) is sharded
    assert settle(path, model, plan, (32, 20), CPU, Two(), said.append, shard=not shard) == found


@pytest.mark.parametrize("family", ["bert", "bert-still", "gpt2", "llama"])
def test_checkpoints_give_the_same_bits_with_dropout_and_without(
    case: Callable[..., Case], family: str
) -> None:
    plain, twice = case(family), case(family)
    twice.model.activation_checkpointing_enable()
    forwards = 0

    def count(*_: Any) -> None:
        nonlocal forwards
        forwards += 1

    deepest = next(module for name, module in twice.model.named_modules() if name.endswith(".0"))
    next(deepest.children()).register_forward_hook(count)
    used = recipe(epochs=1)
    assert losses(list(begin(plain, used))) == losses(list(begin(twice, used)))
    assert forwards == 10  # five steps, each twice
    for name, tensor in plain.weights().items():
        assert torch.equal(tensor, twice.weights()[name]), name


def test_a_checkpointed_model_is_downloaded_like_any_other(case: Callable[..., Case], tmp_path: Path) -> None:
    plain, twice = case(), case()
    twice.model.activation_checkpointing_enable()
    for name, loaded in (("plain", plain), ("twice", twice)):
        loaded.model.save_pretrained(tmp_path / name)
    hashes = [
        hashlib.sha256((tmp_path / name / "config.json").read_bytes()).digest() for name in ("plain", "twice")
    ]
    assert hashes[0] == hashes[1]
