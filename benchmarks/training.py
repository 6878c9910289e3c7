"""Our loop and transformers' Trainer with its defaults, side by side in one process: the same rows, model, batch, epochs, learning
rate and maximum length, in turns, so that whatever else the machine does slows both alike.

    python -m benchmarks.training --against trainer --file FILE [--model DIR] [--strategy full|head|partial2] [--rows 6000]
        [--test 1500] [--epochs 1] [--batch 32] [--lr 5e-5] [--seeds 1] [--steps N] [--threads N] [--json]

FILE: a CSV with the columns text and label. `ratio` is the median over the seeds of theirs / ours. With --steps both take N
steps in turns and nothing is judged; --threads 1 beside it says most on a machine that has other work. `share` is what the matrix
products of the real tokens, as the model is written (forward and twice that backward), come to of the machine's float32 rate,
measured in between; `computed` leaves out what ours leaves out, because nobody reads it (worker/fast/last_block.py).
"""

import argparse
import csv
import json
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from app.models.starter import starter_folder
from benchmarks import trainer_reference as reference
from worker import evaluate
from worker.backbone import load_classifier, pad_id
from worker.encode import Encoded, encode
from worker.fast import quickened
from worker.fast.last_block import CLASSES
from worker.loop import Recipe, Step, train
from worker.losses import CrossEntropy
from worker.transfer import make_plan
from worker.transfer.blocks import stack_of
from worker.transfer.cache import Cache
from worker.transfer.frozen import computed_once

CPU = torch.device("cpu")
Rows = reference.Rows


class Ours:
    """Our loop on `rows`, as a run of the product has it."""

    def __init__(self, folder: Path, labels: list[str], rows: Rows, options: Any, seed: int) -> None:
        self.options = options
        self.model, self.tokenizer = load_classifier(folder, labels, seed)
        began = time.perf_counter()
        self.encoded = self._encode(rows)
        truth = np.array([label for _, label in rows], dtype=np.int64)
        objective = CrossEntropy(self.encoded, truth, pad_id(self.model))
        plan = make_plan(self.model, reference.strategy_named(options.strategy), 0.0, seed)
        recipe = Recipe(
            epochs=options.epochs,
            batch_size=options.batch,
            accumulation=1,
            learning_rate=options.lr,
            warmup_ratio=0.0,  # as the Trainer's defaults, like the weight decay above
            weight_decay=0.0,
            max_grad_norm=1.0,
            eval_steps=None,
            patience=None,
            seed=seed,
        )
        self.inside = ExitStack()
        self.inside.enter_context(quickened(self.model))
        cache = Cache(Path(options.cache), 20e9)
        parts = [self.encoded]
        self.inside.enter_context(
            computed_once(self.model, plan.frozen, parts, CPU, cache, lambda _: None, lambda *_: None)
        )
        self.prepared = time.perf_counter() - began
        self.events = train(self.model, objective, recipe, plan, None, "accuracy", CPU)
        next(self.events)  # Started

    def _encode(self, rows: Rows) -> Encoded:
        return encode(self.tokenizer, [text for text, _ in rows], self.options.max_length)

    def train(self) -> float:
        """Seconds, with tokenising and what is computed once."""
        began = time.perf_counter()
        for _ in self.events:
            pass
        return self.prepared + time.perf_counter() - began

    def step(self) -> Step:
        return next(event for event in self.events if isinstance(event, Step))

    def accuracy(self, test: Rows) -> float:
        self.inside.close()
        with quickened(self.model):
            logits = evaluate.logits(self.model, self._encode(test), 64, CPU)
        return float((logits.argmax(1) == [label for _, label in test]).mean())


def products(model: nn.Module, lengths: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Multiplications and additions of all matrix products of one forward over texts of `lengths` tokens: as the model is
    written, and without what the last block leaves out."""
    tokens, texts, pairs = float(lengths.sum()), len(lengths), float((lengths.astype(np.float64) ** 2).sum())
    blocks = [block for _, block in stack_of(model).blocks]
    width: int = model.config.hidden_size  # type: ignore[union-attr, assignment]
    inside = [_weights(block) for block in blocks]
    above = _weights(model) - sum(inside)
    written = 2 * (sum(inside) * tokens + above * texts + 2 * len(blocks) * width * pairs)
    saved = 0.0
    if type(model).__name__ in CLASSES:
        saved = 2 * ((inside[-1] - 2 * width * width) * (tokens - texts) + 2 * width * (pairs - tokens))
    return written, written - saved


def _weights(module: nn.Module) -> int:
    return sum(each.weight.numel() for each in module.modules() if isinstance(each, nn.Linear))


def rate(model: nn.Module, tokens: int) -> float:
    """Multiplications and additions a second of torch.mm in float32, at the fastest of the model's shapes."""
    best = 0.0
    for outputs, inputs in {
        tuple(each.weight.shape)
        for _, block in stack_of(model).blocks
        for each in block.modules()
        if isinstance(each, nn.Linear)
    }:
        left, right = torch.randn(tokens, inputs), torch.randn(inputs, outputs)
        out = torch.empty(tokens, outputs)
        for _ in range(12):
            began = time.perf_counter()
            torch.mm(left, right, out=out)
            best = max(best, 2 * tokens * inputs * outputs / (time.perf_counter() - began))
    return best


def read(file: Path, count: int, test: int) -> tuple[Rows, Rows, list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        found = [
            (row["text"], row["label"])
            for _, row in zip(range(count + test), csv.DictReader(lines), strict=False)
        ]
    if len(found) < count + test:
        raise SystemExit(
            f"{file} has {len(found)} rows, {count + test} are needed: give smaller --rows and --test."
        )
    labels = sorted({label for _, label in found})
    rows = [(text, labels.index(label)) for text, label in found]
    return rows[:count], rows[count:], labels


def whole(folder: Path, rows: Rows, test: Rows, labels: list[str], options: Any, seed: int) -> dict[str, Any]:
    """Both trainings of one seed, one after the other."""
    ours = Ours(folder, labels, rows, options, seed)
    written, computed = products(ours.model, ours.encoded.lengths)
    machine = rate(ours.model, options.batch * int(ours.encoded.lengths.mean()))
    seconds = ours.train()
    machine = max(machine, rate(ours.model, options.batch * int(ours.encoded.lengths.mean())))
    accuracy = ours.accuracy(test)
    theirs, their_accuracy = reference.train(folder, labels, rows, test, options, seed)
    found = {
        "seed": seed,
        "ratio": theirs / seconds,
        "ours": {
            "seconds": seconds,
            "examples_a_second": len(rows) * options.epochs / seconds,
            "accuracy": accuracy,
        },
        "theirs": {
            "seconds": theirs,
            "examples_a_second": len(rows) * options.epochs / theirs,
            "accuracy": their_accuracy,
        },
        "machine_gflops": machine / 1e9,
    }
    if options.strategy == "full":
        for name, count in (("share", written), ("computed", computed)):
            found[name] = 3 * count * options.epochs / seconds / machine
    return found


def in_turns(folder: Path, rows: Rows, labels: list[str], options: Any) -> dict[str, Any]:
    """Seconds a step when a step of ours follows each of theirs."""
    ours = Ours(folder, labels, rows, options, 1)
    times: list[tuple[float, float]] = []
    last = time.perf_counter()

    def each() -> None:
        nonlocal last
        theirs = time.perf_counter() - last
        began = time.perf_counter()
        ours.step()
        times.append((theirs, time.perf_counter() - began))
        if len(times) == options.steps + 2:
            made.control.should_training_stop = True
        last = time.perf_counter()

    made, _ = reference.trainer(folder, labels, rows, options, 1, each)
    made.train()
    ours.events.close()
    ours.inside.close()
    theirs, mine = zip(*times[2:], strict=True)  # the first ones warm up
    return {
        "ratio": sum(theirs) / sum(mine),
        "ratio_of_medians": statistics.median(theirs) / statistics.median(mine),
        "ours": {"seconds_a_step": statistics.median(mine)},
        "theirs": {"seconds_a_step": statistics.median(theirs)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", choices=["trainer"], default="trainer")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a model folder; without it the starter")
    parser.add_argument("--strategy", default="full")
    for name, default in (
        ("rows", 6000),
        ("test", 1500),
        ("epochs", 1),
        ("batch", 32),
        ("seeds", 1),
        ("steps", 0),
        ("threads", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    torch.set_num_interop_threads(1)
    folder = options.model.resolve() if options.model else starter_folder()
    rows, test, labels = read(options.file, options.rows, options.test)
    with tempfile.TemporaryDirectory() as options.cache:
        if options.steps:
            result = in_turns(folder, rows, labels, options)
        else:
            runs = [whole(folder, rows, test, labels, options, seed) for seed in range(1, options.seeds + 1)]
            result = {"ratio": statistics.median(run["ratio"] for run in runs), "runs": runs}
    print(json.dumps(result, indent=2) if options.json else told(result))


def told(result: dict[str, Any]) -> str:
    lines = [f"ratio {result['ratio']:.2f} (the Trainer's seconds / ours)"]
    for run in result.get("runs", [result]):
        for side in ("ours", "theirs"):
            lines.append(
                f"  {side}: " + ", ".join(f"{name} {value:.4g}" for name, value in run[side].items())
            )
        if "share" in run:
            lines.append(
                f"  {run['share']:.0%} of {run['machine_gflops']:.0f} GFLOP/s, {run['computed']:.0%} counting only what was computed"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
