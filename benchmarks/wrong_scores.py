"""How many of the likeliest wrong numbers are wrong: of a CSV file with a number a row, some are replaced by another row's that is at least
one standard deviation away, and looked for with the product's own code, as after a run whose rows all trained.

What the file itself gets wrong counts as a false alarm here.

    python benchmarks/wrong_scores.py FILE [--text text] [--score score] [--rows 6000] [--noise 0.05] [--seeds 3] [--model starter]
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
from worker import wrong_labels, wrong_scores
from worker.frozen_means import frozen_means


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--score", default="score")
    parser.add_argument("--rows", type=int, default=6000, help="the first so many")
    parser.add_argument("--noise", type=float, default=0.05, help="share of the numbers that are changed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="starter")
    asked = parser.parse_args()
    with asked.file.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[asked.text].strip()][: asked.rows]
    texts = [row[asked.text] for row in rows]
    true = np.array([float(row[asked.score]) for row in rows])
    folder = fetch(
        ModelCatalog(Settings(), lambda _: None).find(asked.model, ask_hub=False), print, offline=True
    )
    began = time.monotonic()
    means = frozen_means(folder, texts, 128, float("inf"), lambda _: None)
    print(f"{len(texts):,} texts; {asked.model} read them in {time.monotonic() - began:.0f} s")
    groups = [normalised(text) for text in texts]
    for seed in [None, *range(asked.seeds)]:
        scores, planted = true.copy(), np.zeros(len(texts), bool)
        if seed is not None:
            generator = np.random.default_rng(seed)
            planted[generator.choice(len(texts), round(asked.noise * len(texts)), replace=False)] = True
            for row in np.flatnonzero(planted):
                scores[row] = generator.choice(true[np.abs(true - true[row]) >= true.std()])
        fold_of = wrong_labels.dealt(groups, wrong_scores.strata(scores))
        judges = [
            wrong_scores.by_words(texts, scores),
            *(wrong_scores.by_features(layer, scores) for layer in means),
        ]
        opinions = [wrong_labels.cross_fitted(judge, fold_of, 1) for judge in judges]
        predicted = wrong_scores.together(opinions, scores)[:, 0]
        found = wrong_scores.likely_wrong(predicted, scores)
        if seed is None:
            print(f"  nothing planted: about {found.likely} are likely wrong")
            continue
        hit = planted[found.rows]
        distance = np.abs(scores - predicted)
        plain = planted[np.argsort(-distance, kind="stable")]
        nearer = np.abs(predicted - true)[planted] < np.abs(scores - true)[planted]
        print(
            f"  seed {seed}, {planted.sum()} planted: precision@50 {hit[:50].sum() / 50:.2f}, @100 {hit[:100].sum() / 100:.2f}, "
            f"@300 {hit[:300].sum() / 300:.2f} of {len(hit)} (by the plain distance {plain[:50].mean():.2f}, {plain[:100].mean():.2f}, "
            f"{plain[:300].mean():.2f}); about {found.likely} are likely wrong; the prediction is nearer to the truth for "
            f"{nearer.mean():.0%} of the planted; correlation {np.corrcoef(predicted, scores)[0, 1]:.2f}"
        )


if __name__ == "__main__":
    main()
