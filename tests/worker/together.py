"""`python -m tests.worker.together FOLDERS OUT RANK WORLD`: one of several processes that train tiny models together.

Writes {case: {"losses", "norms", "events", "weights": a hash}} to OUT/RANK.json.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributed.tensor import DTensor

from app.core.strategies import Full, Gradual, Lora
from tests.worker.tiny import toy
from worker.backbone import load_classifier, pad_id
from worker.distributed import Meeting
from worker.encode import encode
from worker.loop import Evaluated, Halved, Recipe, Step, Stopped, train
from worker.losses import CrossEntropy
from worker.ranks import Ranks
from worker.sharding import Sharded
from worker.transfer import make_plan

CPU = torch.device("cpu")
LABELS = ["negative", "positive"]
# 37 rows in steps of 8: the last step has 5 of them, two parts for one process and one for the other.
RECIPE = Recipe(
    epochs=2,
    batch_size=4,
    accumulation=2,
    learning_rate=1e-3,
    warmup_ratio=0.1,
    weight_decay=0.01,
    max_grad_norm=1.0,
    eval_steps=None,
    patience=1,
    seed=1,
)


class Greedy(CrossEntropy):
    """Wants more memory than there is for more than two of the longest rows at a time, in one of the processes."""

    rank = 0

    def batch(self, rows: Any, device: torch.device) -> dict[str, Any]:
        if self.rank == 1 and len(rows) * self.lengths[rows].max() > 2 * self.lengths.max():
            torch.empty(2**58)
        return super().batch(rows, device)


def learn(
    folder: Path,
    ranks: Ranks,
    strategy: Any = Full(kind="full"),  # noqa: B008 (frozen)
    objective: type[CrossEntropy] = CrossEntropy,
    judge: Callable[[nn.Module], dict[str, float]] | None = None,
    shard: bool = False,
    thrifty: bool = False,
) -> dict[str, Any]:
    model, tokenizer = load_classifier(folder, LABELS, seed=ranks.rank)  # the first one's head is everybody's
    texts, labels = toy(37)
    truth = np.array([LABELS.index(label) for label in labels], dtype=np.int64)
    loss = objective(encode(tokenizer, texts, 32), truth, pad_id(model))
    loss.rank = ranks.rank  # type: ignore[attr-defined]
    plan = make_plan(model, strategy, RECIPE.weight_decay)
    if thrifty:
        model.activation_checkpointing_enable()
    if shard:
        ranks = spread = Sharded(model, plan, CPU)
        plan = spread.plan
        assert any(isinstance(parameter, DTensor) for parameter in model.parameters())
    # Three parts of a full step: where all have to take part in each, one of two processes has one more for company.
    recipe = replace(RECIPE, micro_batch=3) if shard else RECIPE
    events = list(train(model, loss, recipe, plan, judge, "accuracy", CPU, ranks=ranks))
    if isinstance(ranks, Sharded):
        ranks.end()
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    steps = [event for event in events if isinstance(event, Step)]
    return {
        "losses": [event.loss for event in steps],
        "norms": [event.grad_norm for event in steps],
        "scores": [event.scores["accuracy"] for event in events if isinstance(event, Evaluated)],
        "halved": [[event.step, event.micro_batch] for event in events if isinstance(event, Halved)],
        "ends": [event.reason for event in events if isinstance(event, Stopped)],
        "weights": digest.hexdigest(),
    }


def everything(folders: Path, ranks: Ranks) -> dict[str, dict[str, Any]]:
    def judge(model: nn.Module) -> dict[str, float]:
        assert ranks.first
        return {"accuracy": 0.25, "loss": 1.0}

    def read(model: nn.Module) -> dict[str, float]:
        assert ranks.first  # nobody helps it
        inputs = torch.tensor([[2, 7, 8, 3]])
        with torch.no_grad():
            logits = model.eval()(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits
        return {"accuracy": float(logits[0, 0]), "loss": 1.0}

    shard = ranks.world > 1
    return {
        "sharded": learn(folders / "bert-still", ranks, judge=read, shard=shard),
        "sharded gradual": learn(folders / "gpt2-still", ranks, Gradual(kind="gradual"), shard=shard),
        "sharded lora": learn(folders / "bert-still", ranks, Lora(kind="lora", rank=4), shard=shard),
        "sharded thrifty": learn(folders / "bert-still", ranks, shard=shard, thrifty=True),
        "still": learn(folders / "bert-still", ranks, judge=judge),
        "dropout": learn(folders / "bert", ranks),
        "dropout again": learn(folders / "bert", ranks),
        "gradual": learn(folders / "bert-still", ranks, Gradual(kind="gradual")),
        "memory": learn(folders / "bert-still", ranks, objective=Greedy),
    }


def main() -> None:
    folders, out, rank, world = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    found = everything(folders, Meeting(rank, world, out / "meeting").join())
    (out / f"{rank}.json").write_text(json.dumps(found))
    os._exit(0)


if __name__ == "__main__":
    main()
