"""transformers' Trainer with its defaults, as a script would use it: the other side of benchmarks.training."""

import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.core.strategies import Full, Head, Partial, Strategy
from worker.transfer import make_plan

Rows = list[tuple[str, int]]  # text, class


def strategy_named(name: str) -> Strategy:
    """full, head, or partial2 (any number of blocks)."""
    if name.startswith("partial"):
        return Partial(kind="partial", layers=int(name.removeprefix("partial") or 2))
    return Head(kind="head") if name == "head" else Full()


def trainer(
    folder: Path,
    labels: list[str],
    rows: Rows,
    options: Any,
    seed: int,
    each: Callable[[], None] | None = None,
) -> tuple[Any, Any]:
    """A Trainer for `rows` and its tokenizer: random batches, each padded to its longest text; `options.strategy` says
    what learns. `each()` after every step."""
    if find_spec("accelerate") is None:  # it is no dependency of ours
        raise SystemExit("transformers' Trainer needs accelerate: pip install accelerate")
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    class Each(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if each is not None:
                each()

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(labels), dtype=torch.float32
    )
    make_plan(model, strategy_named(options.strategy), 0.0)  # freezes the same
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        seed=seed,
        learning_rate=options.lr,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=64,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    made = Trainer(
        model=model,
        args=arguments,
        train_dataset=encoded(tokenizer, rows, options.max_length),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        callbacks=[Each()],
    )
    return made, tokenizer


def encoded(tokenizer: Any, rows: Rows, max_length: int) -> list[dict[str, Any]]:
    # The starter's tokenizer.json pads by itself; a script for it would say so too.
    found = tokenizer([text for text, _ in rows], padding=False, truncation=True, max_length=max_length)
    return [
        {**{name: values[row] for name, values in found.items()}, "labels": label}
        for row, (_, label) in enumerate(rows)
    ]


def train(
    folder: Path, labels: list[str], rows: Rows, test: Rows, options: Any, seed: int
) -> tuple[float, float]:
    """Seconds of `Trainer.train()` and accuracy on `test`."""
    made, tokenizer = trainer(folder, labels, rows, options, seed)
    began = time.perf_counter()
    made.train()
    seconds = time.perf_counter() - began
    logits = made.predict(encoded(tokenizer, test, options.max_length)).predictions
    return seconds, float((np.asarray(logits).argmax(-1) == [label for _, label in test]).mean())
