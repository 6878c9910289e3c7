"""What recording a training costs: the share of the processor time that it has, and how long the loop waits for it.

    python -m benchmarks.recording [--steps 60] [--rows 32] [--strategy full|head|partial] [--json]

The loop trains the starter on texts of 27 tokens, each step followed by what the trainer does with it: points, progress, a
real SQLite file. Counted in one run: the processor seconds of the calls in the loop's thread and of the recorder's
thread, beside the time that went by on as many cores as torch uses. (Two timed runs differ by more than 1 % on any machine.)
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.core import attempts, runs
from app.core.db import Database
from app.core.files import new_id
from app.core.migrate import migrate
from app.core.spec import RunSpec
from app.core.strategies import Full, Head, Partial, Strategy
from app.core.tables import Dataset, DatasetVersion
from app.models.starter import starter_folder
from worker.backbone import load_classifier, pad_id
from worker.encode import Encoded
from worker.loop import Recipe, Step, train
from worker.losses import CrossEntropy
from worker.progress import Progress
from worker.recorder import Recorder
from worker.transfer import make_plan

TOKENS = 27  # of a movie snippet, on average
STRATEGIES: dict[str, Strategy] = {
    "full": Full(),
    "head": Head(kind="head"),
    "partial": Partial(kind="partial", layers=2),
}


def texts(count: int) -> Encoded:
    """`count` rows of random words."""
    lengths = np.full(count, TOKENS, dtype=np.int32)
    ids = np.random.default_rng(0).integers(1000, 20000, count * TOKENS).astype(np.int32)
    offsets = np.arange(count + 1, dtype=np.int64) * TOKENS
    return Encoded(ids, offsets, lengths, np.zeros(0, dtype=np.int64))


def begin_run(database: Database) -> str:
    """A run that this process may record: one of a data set without rows, claimed."""
    migrate(database)
    dataset, run_id, now = new_id(), new_id(), time.time()
    columns = {"text": "text", "label": "label"}
    spec = RunSpec.model_validate(
        {
            "dataset": dataset,
            "dataset_version": 1,
            "name": "recording",
            "task": "classification",
            "columns": columns,
        }
    )
    with database.write() as session:
        session.add(Dataset(id=dataset, name="texts.csv", state="ready", created_at=now))
        session.flush()
        session.add(
            DatasetVersion(
                dataset_id=dataset, version=1, rows=0, columns=[*columns], sha256="0" * 64, created_at=now
            )
        )
        session.flush()
        runs.create(session, run_id, spec, "0" * 64, now)
        attempts.claim(session, run_id, now)
    return run_id


def measure(steps: int, rows: int, strategy: str, home: Path) -> dict[str, float]:
    database = Database(f"sqlite:///{home / 'headstart.db'}")
    run_id = begin_run(database)
    model, _ = load_classifier(starter_folder(), ["a", "b"], 1)
    data = texts(steps * rows)
    truth = np.random.default_rng(1).integers(0, 2, steps * rows)
    recipe = Recipe(1, rows, 1, 5e-5, 0.1, 0.01, 1.0, None, None, 1)
    plan = make_plan(model, STRATEGIES[strategy], recipe.weight_decay)
    objective = CrossEntropy(data, truth, pad_id(model))
    device = torch.device("cpu")
    waited = calls = 0.0  # seconds of the loop's thread
    with Recorder(database, run_id, 1) as recorder:
        progress = Progress(recorder, steps)
        clock = time.pthread_getcpuclockid(recorder._thread.ident or 0)
        events = train(model, objective, recipe, plan, None, "accuracy", device)
        progress.started(next(events))  # type: ignore[arg-type]
        began, written = time.perf_counter(), time.clock_gettime(clock)
        for event in events:
            if isinstance(event, Step):
                wall, thread = time.perf_counter(), time.thread_time()
                progress.step(event)
                waited, calls = waited + time.perf_counter() - wall, calls + time.thread_time() - thread
        seconds = time.perf_counter() - began
        recording = calls + time.clock_gettime(clock) - written
    database.close()
    return {
        "steps_a_second": steps / seconds,
        "share_of_processor_time": recording / (seconds * torch.get_num_threads()),
        "share_that_the_loop_waits": waited / seconds,
        "microseconds_a_step": 1e6 * recording / steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--strategy", choices=STRATEGIES, default="full")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found: dict[str, Any] = measure(arguments.steps, arguments.rows, arguments.strategy, Path(home))
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:28} {value:10.5f}")


if __name__ == "__main__":
    main()
