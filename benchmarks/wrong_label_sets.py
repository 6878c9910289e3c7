"""How many of the likeliest wrong labels are wrong where a text may have several: of a CSV file with labels such as a|b, one label of
some rows is taken away or added at random, and looked for with the product's own code, as after a run whose rows all trained.

What the file itself gets wrong counts as a false alarm here, so the true precision is higher: read what is printed with --show.

    python benchmarks/wrong_label_sets.py FILE [--text text] [--labels labels] [--rows 2000] [--noise 0.05] [--seeds 3] [--show 0]
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from app.core.settings import Settings
from app.datasets.split import normalised
from app.models.catalog import ModelCatalog
from app.models.hub import fetch
from app.tasks.multilabel import labels_in
from worker import wrong_label_sets, wrong_labels
from worker.frozen_means import frozen_means


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--labels", default="labels")
    parser.add_argument("--rows", type=int, default=2000, help="the first so many")
    parser.add_argument(
        "--noise", type=float, default=0.05, help="share of the rows of which a label is changed"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", type=int, default=0, help="so many that were not planted, to be read")
    parser.add_argument("--model", default="starter")
    asked = parser.parse_args()
    with asked.file.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[asked.text].strip()][: asked.rows]
    texts = [row[asked.text] for row in rows]
    names = sorted({label for row in rows for label in labels_in(row[asked.labels])})
    true = np.array([[name in labels_in(row[asked.labels]) for name in names] for row in rows])
    folder = fetch(
        ModelCatalog(Settings(), lambda _: None).find(asked.model, ask_hub=False), print, offline=True
    )
    means = frozen_means(folder, texts, 128, float("inf"), lambda _: None)
    groups = [normalised(text) for text in texts]
    for seed in range(asked.seeds):
        generator = np.random.default_rng(seed)
        given, planted = true.copy(), {}
        for row in generator.choice(len(texts), round(asked.noise * len(texts)), replace=False).tolist():
            turned = generator.random() < 0.5 and true[row].any()
            planted[row] = int(generator.choice(np.flatnonzero(true[row] == turned)))
            given[row, planted[row]] = not turned
        fold_of = wrong_labels.dealt(groups, wrong_label_sets.rarest(given))
        judges = [
            wrong_label_sets.by_words(texts, given),
            *(wrong_label_sets.by_features(layer, given) for layer in means),
        ]
        opinions = [wrong_labels.cross_fitted(judge, fold_of, len(names)) for judge in judges]
        found = wrong_label_sets.likely_wrong(wrong_label_sets.together(opinions), given)
        pairs = list(zip(found.rows.tolist(), found.labels.tolist(), strict=True))
        hit = np.array([planted.get(row) == label for row, label in pairs])
        extra = given[found.rows, found.labels]
        print(
            f"seed {seed}, {len(planted)} planted: precision@50 {hit[:50].mean():.2f}, @100 {hit[:100].mean():.2f}; of the first 50 "
            f"{extra[:50].sum()} are too many ({hit[:50][extra[:50]].sum()} planted), {(~extra[:50]).sum()} missing "
            f"({hit[:50][~extra[:50]].sum()} planted); about {found.likely} are likely wrong"
        )
        for (row, label), was in list(zip(pairs, hit.tolist(), strict=True))[: asked.show]:
            if not was:
                has = "|".join(names[at] for at in np.flatnonzero(given[row]))
                print(
                    f"    {names[label]} {'too many' if given[row, label] else 'missing'} in {has}: {texts[row][:200]}"
                )


if __name__ == "__main__":
    main()
