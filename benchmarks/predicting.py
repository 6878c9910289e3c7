"""Predicting the rows of a file, against transformers.pipeline(batch_size=32) on the same model and texts, in turns.

    python -m benchmarks.predicting FILE [--rows 2000] [--turns 3] [--json]

FILE: a CSV with a column text. Prints texts a second of both, and the median of the paired ratios.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import pipeline

from app.core.spec import parse_spec
from app.models.starter import starter_folder
from worker.backbone import load_classifier
from worker.predict_file import CHUNK
from worker.tasks.classification import Classification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with arguments.file.open(encoding="utf-8", newline="") as lines:
        texts = [row["text"] for row in islice(csv.DictReader(lines), arguments.rows)]
    columns = {"text": "text", "label": "label"}
    spec = parse_spec({"dataset": "a" * 12, "task": "classification", "columns": columns, "max_length": 128})
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = load_classifier(starter_folder(), ["negative", "positive"], 1)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        ours = Classification.open(Path(folder), spec)
        theirs: Any = pipeline("text-classification", folder, top_k=None)

        def chunks() -> None:
            for start in range(0, len(texts), CHUNK):
                Classification.answer(*ours, spec, texts[start : start + CHUNK])

        def piped() -> None:
            theirs(texts, batch_size=32, truncation=True, max_length=128)

        seconds: dict[str, list[float]] = {"ours": [], "pipeline": []}
        for _ in range(arguments.turns):
            for name, work in (("ours", chunks), ("pipeline", piped)):
                began = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - began)
    ratio = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["pipeline"], strict=True))
    rates = {name: len(texts) / statistics.median(found) for name, found in seconds.items()}
    if arguments.json:
        print(json.dumps({"ratio": ratio, "texts_per_second": rates}))
        return
    print(f"ours {rates['ours']:.1f} texts/s, pipeline {rates['pipeline']:.1f} texts/s: {ratio:.2f} times")


if __name__ == "__main__":
    main()
