"""How many of the sentences with the likeliest wrong entity have one: of JSON lines of tokens and BIO tags, one entity of some sentences is
dropped, given another type, or added at random, and looked for with the product's own code, as after a run whose rows all trained.

What the file itself gets wrong counts as a false alarm here, so the true precision is higher: read what is printed with --show.

    python benchmarks/wrong_tags.py FILE [--rows N] [--noise 0.05] [--seeds 3] [--model starter] [--show 0]
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from app.core.settings import Settings
from app.datasets import bio
from app.datasets.split import normalised
from app.models.catalog import ModelCatalog
from app.models.hub import fetch
from app.tasks.sentences import Sentence
from app.tasks.tagging import shown
from worker import wrong_labels, wrong_tags
from worker.frozen_words import frozen_words


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=5000, help="the first so many")
    parser.add_argument(
        "--noise", type=float, default=0.05, help="share of the sentences with entities that get a wrong one"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--show", type=int, default=0, help="so many that were not planted, to be read")
    asked = parser.parse_args()
    with asked.file.open(encoding="utf-8") as file:
        true = [Sentence(**json.loads(line)) for line in file][: asked.rows]
    types = Counter(kind for one in true for _, _, kind in bio.entities(one.tags))
    names = sorted([bio.OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")])
    folder = fetch(
        ModelCatalog(Settings(), lambda _: None).find(asked.model, ask_hub=False), print, offline=True
    )
    began = time.monotonic()
    vectors = frozen_words(folder, true, 128, float("inf"), lambda _: None)
    print(
        f"{len(true):,} sentences, {vectors.shape[1]:,} words, {types.total():,} entities of {len(types)} types; {asked.model} read "
        f"them in {time.monotonic() - began:.0f} s"
    )
    groups = [normalised(one.string) for one in true]
    for seed in range(asked.seeds):
        began = time.monotonic()
        given, planted = plant(true, types, asked.noise, np.random.default_rng(seed))
        tags = wrong_tags.numbered(given, names)
        fold_of = wrong_tags.folds(groups, given)
        judges = [
            wrong_tags.by_words(given, tags, len(names)),
            *(wrong_tags.by_vectors(layer, tags, len(names)) for layer in vectors),
        ]
        opinions = [wrong_labels.cross_fitted(judge, fold_of, len(names)) for judge in judges]
        found, likely = wrong_tags.likely_wrong(wrong_labels.together(opinions), given, names)
        hit = np.array([one.sentence in planted for one in found])
        counts = Counter(planted.values())
        of_kind = {kind: sum(planted.get(one.sentence) == kind for one in found[:100]) for kind in counts}
        right = [
            bio.entities(true[one.sentence].tags) == repaired(given, one)
            for one in found[:100]
            if one.sentence in planted
        ]
        print(
            f"  seed {seed}, {len(planted)} planted: precision@50 {hit[:50].sum() / 50:.2f}, @100 {hit[:100].sum() / 100:.2f} of "
            f"{len(hit)}; in the first 100 are {', '.join(f'{of_kind[kind]} of {counts[kind]} {kind}' for kind in sorted(counts))}; "
            f"the right tags suggested for {sum(right)} of {len(right)}; about {likely} are likely wrong; "
            f"{time.monotonic() - began:.0f} s"
        )
        for one in [one for one in found[:100] if one.sentence not in planted][: asked.show]:
            says = [_words(given[one.sentence], some) for some in (one.entities, one.suggested)]
            print(f"    {says[0]} → {says[1]} ({one.p_tags:.3f}): {given[one.sentence].string[:200]}")


def plant(
    true: list[Sentence], types: Counter[str], noise: float, generator: np.random.Generator
) -> tuple[list[Sentence], dict[int, str]]:
    """Sentences with wrong entities among them, and what was done to which."""
    given, planted = list(true), {}
    bearers = [row for row, one in enumerate(true) if one.types]
    kinds, shares = list(types), np.array(list(types.values())) / types.total()
    for row in generator.choice(bearers, round(noise * len(bearers)), replace=False).tolist():
        tokens, entities = true[row].tokens, bio.entities(true[row].tags)
        free = _free(true[row])
        ways = ["dropped", *(["retyped"] if len(kinds) > 1 else []), *(["added"] if free else [])]
        way = str(generator.choice(ways))
        one = entities[generator.integers(len(entities))]
        if way == "added":
            first, behind = free[generator.integers(len(free))]
            entities.append((first, behind, str(generator.choice(kinds, p=shares))))
        else:
            entities.remove(one)
        if way == "retyped":
            other = str(generator.choice([kind for kind in kinds if kind != one[2]]))
            entities.append((one[0], one[1], other))
        given[row] = Sentence(tokens, bio.tags_of(entities, len(tokens)))
        planted[row] = way
    return given, planted


def repaired(given: list[Sentence], one: wrong_tags.Doubted) -> list[bio.Entity]:
    """The entities of the sentence as the suggestion makes them."""
    kept = [other for other in bio.entities(given[one.sentence].tags) if other not in one.entities]
    return sorted([*kept, *one.suggested])


def _free(sentence: Sentence) -> list[tuple[int, int]]:
    """One or two neighbours outside of all entities that begin with a word."""
    return [
        (first, behind)
        for first, token in enumerate(sentence.tokens)
        if any(sign.isalnum() for sign in token)
        for behind in (first + 1, first + 2)
        if behind <= len(sentence.tokens)
        and all(tag == bio.OUTSIDE for tag in sentence.tags[first : behind + 1])
    ]


def _words(sentence: Sentence, entities: list[Any]) -> str:
    return shown(sentence.tokens, bio.tags_of(entities, len(sentence.tokens))) or "nothing"


if __name__ == "__main__":
    main()
