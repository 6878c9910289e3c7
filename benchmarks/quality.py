"""How good the product's own way is: one epoch of the starter on 6,000 rows, judged on 1,500 others, three seeds.

    python -m benchmarks.quality FILE [--seeds 3] [--json]

FILE: a CSV with the columns text and label. The rows go in by the store, the run by the launcher and a real
trainer process, as from the browser. A reference implementation reaches 0.85 on movie snippets.
"""

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.train import train_file

PARTS = (("train", 6000), ("test", 1500), ("validation", 500))


def write_split(source: Path, target: Path) -> None:
    """The first 8,000 rows of `source` with a column that says which part each belongs to."""
    with source.open(encoding="utf-8", newline="") as lines, target.open("w", newline="") as out:
        rows = csv.DictReader(lines)
        writer = csv.writer(out)
        writer.writerow(["text", "label", "part"])
        for part, count in PARTS:
            for _, row in zip(range(count), rows, strict=False):
                writer.writerow([row["text"], row["label"], part])


def measure(source: Path, seed: int, home: Path) -> dict[str, Any]:
    file = home / "rows.csv"
    write_split(source, file)
    options = {
        "task": "classification",
        "columns": {"text": "text", "label": "label"},
        "split": {"kind": "column", "column": "part"},
        "epochs": 1,
        "batch_size": 32,
        "learning_rate": 5e-5,
        "max_length": 128,
        "seed": seed,
    }
    began = time.perf_counter()
    result = train_file(Settings(home=home / "data", offline=True), file, options, None)
    return {"seed": seed, "seconds": round(time.perf_counter() - began, 1), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(arguments.file, seed, Path(folder)) for seed in range(1, arguments.seeds + 1)]
    accuracies = [one["metrics"]["accuracy"] for one in found]
    mean = sum(accuracies) / len(accuracies)
    if arguments.json:
        print(json.dumps({"mean_accuracy": mean, "runs": found}, indent=2))
        return
    for one in found:
        scores = {name: round(values["accuracy"], 4) for name, values in one["baselines"].items()}
        print(
            f"seed {one['seed']}: accuracy {one['metrics']['accuracy']:.4f} in {one['seconds']} s, beside {scores}"
        )
    print(f"mean accuracy {mean:.4f}")


if __name__ == "__main__":
    main()
