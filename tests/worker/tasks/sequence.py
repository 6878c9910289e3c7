"""A tiny model really trained on one of the tasks with a sequence classification head, and its download."""

import ast
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.core.spec import RunSpec, parse_spec
from app.core.strategies import Full
from app.tasks import task
from app.tasks.examples import Examples
from worker.export import export_model
from worker.loop import Evaluated, Recipe, Step, train
from worker.tasks import torch_task
from worker.tasks.base import Outcome, Part
from worker.transfer import make_plan

CPU = torch.device("cpu")
PARTS = (*["train"] * 6, "validation", "test")


def spec_of(name: str, **fields: Any) -> RunSpec:
    roles = ("text", "text_pair", "label") if name == "pair" else ("text", "label")
    known = {"dataset": "abcdefabcdef", "task": name, "columns": {role: role for role in roles}}
    return parse_spec({**known, "max_length": 32, "learning_rate": 5e-3, **fields})


def examples_of(values: dict[str, list[Any]]) -> Examples:
    """Six rows of eight train, one validates, one tests."""
    count = len(values["text"])
    return Examples(list(range(count)), values, [PARTS[row % 8] for row in range(count)])


@dataclass
class Trained:
    """`model` and `tokenizer` as they were measured, before the download was written into `folder`."""

    half: Any
    spec: RunSpec
    parts: dict[str, Part]
    losses: list[float]
    scores: list[dict[str, float]]
    outcome: Outcome
    folder: Path
    texts: list[str]

    def answers(self, inputs: list[Any]) -> list[dict[str, Any]]:
        model, tokenizer = self.half.open(self.folder, self.spec)
        found: list[dict[str, Any]] = self.half.answer(model, tokenizer, self.spec, inputs)
        return found

    def card(self, instead: str = "", by: str = "") -> Any:
        """What the card's lines print, with another text in them."""
        lines = task(self.spec.task).usage(self.spec, str(self.folder)).replace(instead, by)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(lines, {})
        return ast.literal_eval(printed.getvalue())


def trained(
    name: str, base: Path, values: dict[str, list[Any]], folder: Path, epochs: int = 6, **fields: Any
) -> Trained:
    spec, examples = spec_of(name, **fields), examples_of(values)
    half: Any = torch_task(name)(spec, examples, CPU)
    model, tokenizer = half.load(base, True)
    parts = {
        part: half.encode(tokenizer, examples.part(part), lambda done, total: None)
        for part in ("train", "validation", "test")
    }
    assert spec.learning_rate is not None
    recipe = Recipe(
        epochs=epochs,
        batch_size=8,
        accumulation=1,
        learning_rate=spec.learning_rate,
        warmup_ratio=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        eval_steps=None,
        patience=None,
        seed=1,
    )
    objective, plan = half.objective(model, parts["train"]), make_plan(model, Full(), 0.0)
    free = task(name)
    events = list(
        train(
            model,
            objective,
            recipe,
            plan,
            lambda now: half.judge(now, parts["validation"]),
            free.primary,
            CPU,
            lower=free.primary_is_lower,
        )
    )
    outcome = half.measure(model, parts["train"], parts["validation"], parts["test"])
    half.finish(model, tokenizer)
    export_model(model, tokenizer, "card", folder)
    return Trained(
        half=half,
        spec=spec,
        parts=parts,
        losses=[event.loss for event in events if isinstance(event, Step)],
        scores=[event.scores for event in events if isinstance(event, Evaluated)],
        outcome=outcome,
        folder=folder,
        texts=examples.part("test").texts,
    )
