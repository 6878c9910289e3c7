"""The model as a stack of blocks: what each level does under a strategy."""

from typing import Any

from app.core.spec import RunSpec
from app.core.strategies import Full, Gradual, Head, Lora, Partial
from app.models.learning import levels_of
from app.models.stack import Stack
from app.models.starter import starter
from app.tasks import TASKS
from app.web.stacks import Picture, picture, short, sketch


def drawn(strategy: Any, blocks: int = 4, **spec: Any) -> Picture:
    matrices = ({"query": (8, 8), "up": (32, 8)},) * blocks
    stack = Stack("bert", 25_000, (1_500,) * blocks, matrices, 0, 8, 2, 50, 8)
    levels = levels_of(stack, strategy, 120)
    asked = RunSpec(dataset="a" * 12, task="classification", columns={}, strategy=strategy, **spec)
    return picture(levels, asked)


def column(found: Picture, name: str) -> list[Any]:
    return [row[name] for row in found.rows]


def test_partial_learns_from_the_top_and_computes_the_rest_once() -> None:
    found = drawn(Partial(kind="partial", layers=2, layer_decay=0.5), learning_rate=1e-4)
    assert column(found, "name") == ["head", "block 4", "block 3", "block 2", "block 1", "embeddings"]
    assert column(found, "state") == ["learns"] * 3 + ["frozen, computed once", "frozen", "frozen"]
    assert column(found, "rate") == ["1e-4", "5e-5", "2.5e-5", "", "", ""]
    assert (found.learns, found.numbers) == ("3.1 k", "31.1 k")


def test_gradual_says_when_each_level_thaws() -> None:
    found = drawn(Gradual(kind="gradual", over=0.5))
    assert column(found, "state")[0] == "learns" and column(found, "state")[-1] == "thaws at 50 %"
    assert column(found, "look") == ["learns"] + ["thaws"] * 5


def test_a_head_that_is_fitted_has_no_learning_rate() -> None:
    assert column(drawn(Head(kind="head"), learning_rate=1e-3), "rate") == [""] * 6
    assert column(drawn(Head(kind="head"), learning_rate=1e-3), "state")[0] == "fitted to its optimum"
    assert column(drawn(Head(kind="head"), epochs=2, learning_rate=1e-3), "rate")[0] == "1e-3"


def test_lora_counts_its_adapters() -> None:
    found = drawn(Lora(kind="lora", rank=2))
    assert column(found, "state")[1] == "adapter, 112"  # 2 * (8 + 8) + 2 * (32 + 8)
    assert column(drawn(Lora(kind="lora", rank=2, targets=["query"])), "state")[1] == "adapter, 32"
    assert column(found, "state")[-1] == "frozen"


def test_like_neighbours_of_a_deep_model_share_a_row() -> None:
    found = drawn(Partial(kind="partial", layers=2), blocks=30)
    assert column(found, "name") == ["head", "blocks 29–30", "block 28", "blocks 1–27", "embeddings"]
    assert len(drawn(Full(layer_decay=0.9), blocks=30, learning_rate=1e-4).rows) == 32


def test_a_sketch_needs_no_data_and_survives_what_is_no_number() -> None:
    task = TASKS["classification"]
    found = sketch(starter(), task, {"strategy": "partial", "layers": "3", "layer_decay": "0.9"})
    assert found is not None and [row["rate"] for row in found.rows[:3]] == ["1e-4", "9e-5", "8.1e-5"]
    assert sketch(starter(), task, {"strategy": "partial", "layers": "three"}) is None
    assert sketch(starter(), task, {"learning_rate": "fast"}) is None


def test_numbers_in_short() -> None:
    assert [short(n) for n in (999, 1_000, 148_610, 1_774_464, 135_000_000, 7_200_000_000)] == [
        *("999", "1.0 k", "149 k", "1.8 M", "135 M", "7.2 B"),
    ]
