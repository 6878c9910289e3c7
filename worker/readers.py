"""Who reads the texts of a search for wrong labels where nobody has said: of the pre-trained encoders that are here, the one whose
reading tells most of the labels.

Each reads some rows, of which models of the others then guess the labels: what is read best surprises least (measured in
`benchmarks/wrong_labels.py`: with 60 wrong ones in 1,200 reviews 53 % of the first 50 are wrong by the starter, 81 % by MPNet).
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.errors import HeadstartError
from app.models.catalog import ModelCatalog
from app.models.finished import labels_of
from app.models.hub import fetch
from app.models.info import ModelInfo
from worker import wrong_labels
from worker.frozen_means import TooSlow, frozen_means
from worker.label_kinds import Kind

log = logging.getLogger("worker.readers")

TRIED_ROWS = 400
# That a reader whom nobody asked for may take for all rows; the run's own is asked however long it takes.
MOST_SECONDS = 600.0

Tell = Callable[[float], None]


@dataclass(frozen=True)
class Choice:
    """`surprise`: of the labels that were guessed, as Kind.surprise has it, by reader; {} where there was no choice."""

    reader: str
    surprise: dict[str, float]


def candidates(catalog: ModelCatalog, own: str | None) -> list[str]:
    """`own` (None: it has seen the labels), and the other encoders here, the smallest first, that can't have seen them: a model with
    labels of its own was fine-tuned, and perhaps on these. The starter is among them, so there is always one."""
    found = [
        one for one in catalog.offered() if one.tasks and one.architecture == "encoder" and one.id != own
    ]
    found = [one for one in found if not has_labels(one)]
    others = [one.id for one in sorted(found, key=lambda one: one.parameters or 0)]
    return others if own is None else [own, *others]


def best(
    asked: Sequence[str],
    catalog: ModelCatalog,
    texts: Any,
    groups: Sequence[str],
    kind_of_rows: Callable[[Sequence[int]], Kind],
    classes: int,
    max_length: int,
    tell: Tell,
) -> Choice:
    """The one of `asked` that reads best; the first is the run's own. `kind_of_rows`: the kind of some of the rows alone.

    One that can't be loaded, or would take more than MOST_SECONDS for all `texts`, is left out.
    """
    if len(asked) < 2:
        return Choice(asked[0], {})
    drawn = np.random.default_rng(0).permutation(len(texts))[:TRIED_ROWS]
    rows = np.sort(drawn).tolist()
    kind, some = kind_of_rows(rows), [texts[row] for row in rows]
    fold_of = wrong_labels.dealt([groups[row] for row in rows], kind.strata)
    surprise: dict[str, float] = {}
    for done, name in enumerate(asked):

        def telling(share: float, done: int = done) -> None:
            tell((done + share) / len(asked))

        most = float("inf") if name == asked[0] else MOST_SECONDS * len(rows) / len(texts)
        began = time.monotonic()
        try:
            folder = fetch(catalog.find(name, ask_hub=False), log.info, offline=True)
            means = frozen_means(folder, some, max_length, most, telling)
        except (HeadstartError, TooSlow) as reason:
            log.info("%s is not asked: %s", name, reason)
            continue
        opinions = [wrong_labels.cross_fitted(kind.by_features(layer), fold_of, classes) for layer in means]
        surprise[name] = kind.surprise(kind.together(opinions))
        log.info("%s: %.3f in %.1f s", name, surprise[name], time.monotonic() - began)
    return Choice(min(surprise, key=surprise.__getitem__, default=asked[0]), surprise)


def has_labels(model: ModelInfo) -> bool:
    """Whether it was fine-tuned for labels of its own."""
    return model.path is not None and any(not name.startswith("LABEL_") for name in labels_of(model.path))
