"""Entities found by our own run and by a Trainer set up like transformers' example script run_ner.py: the same model,
rows and settings, several seeds.

    python -m benchmarks.tagging FILE [--seeds 3] [--train 1000] [--test 600] [--epochs 3] [--lr 1e-4] [--batch 16]
        [--warmup 0] [--json]

FILE: JSON lines with tokens and tags. Few rows give scores that differ by 0.1 from seed to seed: compare means of many.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from app.core.settings import Settings
from app.datasets import bio
from app.train import train_file

VALIDATION = 200
Row = dict[str, list[str]]


def split(source: Path, train: int, test: int) -> dict[str, list[Row]]:
    """The first rows of `source` as parts, their tags as valid BIO."""
    with source.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    rows = [{"tokens": row["tokens"], "tags": bio.to_bio(row["tags"])} for row in rows]
    ends = (0, train, train + VALIDATION, train + VALIDATION + test)
    if len(rows) < ends[-1]:
        raise SystemExit(
            f"{source} has {len(rows)} rows, {ends[-1]} are needed: give smaller --train and --test."
        )
    return {name: rows[ends[at] : ends[at + 1]] for at, name in enumerate(("train", "validation", "test"))}


def ours(parts: dict[str, list[Row]], seed: int, arguments: argparse.Namespace) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for part, rows in parts.items():
                for row in rows:
                    print(json.dumps({**row, "part": part}), file=out)
        options = {
            "task": "tagging",
            "columns": {"tokens": "tokens", "tags": "tags"},
            "split": {"kind": "column", "column": "part"},
            "epochs": arguments.epochs,
            "batch_size": arguments.batch,
            "learning_rate": arguments.lr,
            "warmup_ratio": arguments.warmup,  # none, as in run_ner.py
            "weight_decay": 0.0,
            "max_length": 128,
            "seed": seed,
        }
        settings = Settings(home=Path(folder) / "data", offline=True)
        return float(train_file(settings, file, options, None)["metrics"]["f1"])


def reference(parts: dict[str, list[Row]], seed: int, arguments: argparse.Namespace) -> float:
    """Strict entity F1 of the Trainer's model after its last epoch, as run_ner.py leaves it."""
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from app.models.starter import starter_folder

    labels = sorted({tag for rows in parts.values() for row in rows for tag in row["tags"]})
    folder = starter_folder()
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(labels))

    def encoded(row: Row) -> dict[str, Any]:
        found = tokenizer(row["tokens"], truncation=True, max_length=128, is_split_into_words=True)
        words = found.word_ids()
        found["labels"] = [
            -100 if word is None or word == before else labels.index(row["tags"][word])
            for word, before in zip(words, [None, *words], strict=False)
        ]
        return dict(found)

    data: Any = {part: [encoded(row) for row in rows] for part, rows in parts.items()}
    with tempfile.TemporaryDirectory() as output:
        settings = TrainingArguments(
            output_dir=output,
            seed=seed,
            learning_rate=arguments.lr,
            num_train_epochs=arguments.epochs,
            per_device_train_batch_size=arguments.batch,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=model,
            args=settings,
            train_dataset=data["train"],
            data_collator=DataCollatorForTokenClassification(tokenizer),
        )
        trainer.train()
        answer: Any = trainer.predict(data["test"])
    best = answer.predictions.argmax(-1)
    pairs = [
        [(labels[true], labels[ours]) for true, ours in zip(row, guess, strict=True) if true != -100]
        for row, guess in zip(answer.label_ids, best, strict=True)
    ]
    truth, guessed = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
    scores = precision_recall_fscore_support(truth, guessed, average="micro", scheme=IOB2, zero_division=0)
    return float(scores[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--warmup", type=float, default=0.0, help="of ours; the product's default is 0.1")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    parts = split(arguments.file, arguments.train, arguments.test)
    found = [
        {"seed": seed, "ours": ours(parts, seed, arguments), "trainer": reference(parts, seed, arguments)}
        for seed in range(1, arguments.seeds + 1)
    ]
    means = {name: sum(one[name] for one in found) / len(found) for name in ("ours", "trainer")}
    if arguments.json:
        print(json.dumps({"mean_f1": means, "runs": found}, indent=2))
        return
    for one in found:
        print(f"seed {one['seed']}: entity F1 {one['ours']:.4f}, Trainer {one['trainer']:.4f}")
    print(f"mean: {means['ours']:.4f}, Trainer {means['trainer']:.4f}")


if __name__ == "__main__":
    main()
