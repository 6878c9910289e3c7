"""How many of the likeliest wrong labels are wrong: labels of a CSV file are changed at random, and looked for with the product's
own code, as after a run whose rows all trained (the run's own model judges only rows that did not, so here it judges none).

    python benchmarks/wrong_labels.py FILE [--text text] [--label label] [--rows 6000] [--noise 0.05] [--seeds 3] [--model starter]
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from app.core.settings import Settings
from app.datasets.split import normalised
from app.models.catalog import ModelCatalog
from app.models.hub import fetch
from worker import wrong_labels
from worker.frozen_means import frozen_means


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--rows", type=int, default=6000, help="the first so many")
    parser.add_argument("--noise", type=float, default=0.05, help="share of the labels that are changed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="starter")
    asked = parser.parse_args()
    with asked.file.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[asked.text].strip()][: asked.rows]
    texts = [row[asked.text] for row in rows]
    names = sorted({row[asked.label] for row in rows})
    true = np.array([names.index(row[asked.label]) for row in rows])
    folder = fetch(
        ModelCatalog(Settings(), lambda _: None).find(asked.model, ask_hub=False), print, offline=True
    )
    began = time.monotonic()
    means = frozen_means(folder, texts, 128, float("inf"), lambda _: None)
    print(
        f"{len(texts):,} texts, {len(names)} labels; {asked.model} read them in {time.monotonic() - began:.0f} s"
    )
    groups = [normalised(text) for text in texts]
    for seed in range(asked.seeds):
        generator = np.random.default_rng(seed)
        planted = np.zeros(len(texts), bool)
        planted[generator.choice(len(texts), round(asked.noise * len(texts)), replace=False)] = True
        labels = np.where(planted, (true + generator.integers(1, len(names), len(texts))) % len(names), true)
        began = time.monotonic()
        fold_of = wrong_labels.dealt(groups, labels)
        judges = [
            wrong_labels.by_words(texts, labels, len(names)),
            *(wrong_labels.by_features(layer, labels, len(names)) for layer in means),
        ]
        opinions = [wrong_labels.cross_fitted(judge, fold_of, len(names)) for judge in judges]
        ways = {
            "words alone": opinions[:1],
            "the last layer alone": opinions[1:2],
            "words and the last layer": opinions[:2],
            "words and all layers (the product)": opinions,
        }
        print(f"seed {seed}, {planted.sum()} planted, {time.monotonic() - began:.0f} s")
        for way, some in ways.items():
            found = wrong_labels.likely_wrong(wrong_labels.together(some), labels)
            hit = planted[found.rows]
            right = (found.suggested == true[found.rows])[:50][hit[:50]]
            print(
                f"  {way:36} precision@50 {hit[:50].mean():.2f}, @100 {hit[:100].mean():.2f}, @300 {hit[:300].mean():.2f}; "
                f"{found.likely} likely; the right label suggested for {right.sum()} of {len(right)}"
            )


if __name__ == "__main__":
    main()
