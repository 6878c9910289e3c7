"""The stack that the pages draw, without torch, is that of the loaded model, and what learns in it that of the plan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from app.core.strategies import Full, Gradual, Head, Lora, Partial
from app.models.inspect import read_json, tensors
from app.models.learning import NEVER, levels_of
from app.models.stack import Stack, stack_from
from tests.worker.tiny import DECODERS, ENCODERS, SEQ2SEQ, build, toy
from worker.backbone import quiet
from worker.transfer import make_plan
from worker.transfer.blocks import stack_of

CLASSES = 3
# Marian computes its positions and stores none.
COMPUTED = {"marian"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    texts, _ = toy(40)
    return {
        family: build(family, tmp_path_factory.mktemp(family), texts)
        for family in (*ENCODERS, *DECODERS, *SEQ2SEQ)
    }


def told(folder: Path) -> Stack:
    found = stack_from(tensors(folder), read_json(folder / "config.json"))
    assert found is not None
    return found


def ways(family: str) -> Iterator[tuple[str, Any, bool]]:
    """(task, transformers' class, whether its head is a new one)"""
    if family in SEQ2SEQ:
        yield "text2text", AutoModelForSeq2SeqLM, False
        return
    yield "classification", AutoModelForSequenceClassification, True
    yield "tagging", AutoModelForTokenClassification, True
    yield "adaptation", AutoModelForMaskedLM if family in ENCODERS else AutoModelForCausalLM, False


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS, *SEQ2SEQ])
def test_the_levels_have_as_many_numbers_as_the_loaded_models(folders: dict[str, Path], family: str) -> None:
    stack = told(folders[family])
    for task, auto, own in ways(family):
        with quiet():
            model = auto.from_pretrained(folders[family], **({"num_labels": CLASSES} if own else {}))
        loaded = stack_of(model)
        numbers = {name: parameter.numel() for name, parameter in model.named_parameters()}
        levels = [sum(numbers[name] for name in loaded.of(level)) for level in range(loaded.top + 1)]
        first = levels[0] if family in COMPUTED else stack.embeddings
        assert [first, *stack.blocks, stack.head(task, CLASSES, own)] == levels, task


@pytest.mark.parametrize(
    "strategy",
    [
        Full(layer_decay=0.5),
        Head(kind="head"),
        Partial(kind="partial", layers=1, layer_decay=0.5),
        Partial(kind="partial", layers=9),
        Gradual(kind="gradual", over=0.6, layer_decay=0.9),
        Lora(kind="lora", rank=2),
    ],
)
@pytest.mark.parametrize("family", ["bert", "albert", "deberta-v2", "gpt2", "llama"])
def test_what_learns_is_what_the_plan_says(folders: dict[str, Path], family: str, strategy: Any) -> None:
    stack = told(folders[family])
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(folders[family], num_labels=CLASSES)
    place = stack_of(model).level
    levels = levels_of(stack, strategy, stack.head("classification", CLASSES, own=True))
    plan = make_plan(model, strategy, 0.01)
    assert plan.trainable == sum(level.learns for level in levels)
    if isinstance(strategy, Lora):
        return  # its adapters are new parameters, of no level
    learning: dict[int, tuple[int, float, float]] = {}
    for group in plan.groups:
        for name, parameter in zip(group.names, group.parameters, strict=True):
            before = learning.get(place[name], (0, 0.0, 0.0))[0]
            learning[place[name]] = before + parameter.numel(), group.scale, group.start
    expected: dict[int, Any] = {
        number: (level.learns, pytest.approx(level.scale), pytest.approx(level.start))
        for number, level in enumerate(levels)
        if level.start < NEVER
    }
    assert learning == expected
    frozen = next(number for number, level in enumerate(levels) if level.learns)
    assert len(plan.frozen) == max(0, frozen - 1)
