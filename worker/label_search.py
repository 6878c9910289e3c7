"""What is searched for wrong labels, by whom, and what is found of it, in the data of one finished run.

read the rows as the run did ▸ judge each by words and by what the pre-trained model says of it, with models that have not seen it
▸ rows that did not train: by the run's own model too. Where the labels are entities, worker/tag_search.py does the middle of it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from app.core import label_checks, runs
from app.core.db import Database
from app.core.errors import HeadstartError
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.datasets.rows import ROW_ID
from app.models.catalog import ModelCatalog
from app.models.finished import finished_run
from app.models.starter import STARTER
from app.models.starter import TITLE as STARTER_TITLE
from app.tasks import suspects, task
from app.tasks.base import column_of
from app.tasks.examples import Examples, load_examples
from app.tasks.score import with_commas
from app.tasks.suspects import Summary, Suspect
from app.tasks.tag_cells import entities_column

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore
    from worker.label_kinds import Doubt, Kind

log = logging.getLogger("worker.label_search")

ROWS_TIMES_CLASSES = 10_000_000  # that are looked at: so much memory the opinions take
ROWS_TIMES_LABELS = 500_000  # where a row may have several: each label is learned for itself
MOST_KEPT = 5_000
MOST_SECONDS = 1200.0  # that the pre-trained model may read
ANSWERED = 512  # rows between two looks at the progress
# What share of the whole each part of the work is, about.
WORDS, CHOOSING, READING, HEAD, OWN = (0.0, 0.1), (0.1, 0.25), (0.25, 0.8), (0.8, 0.9), (0.9, 1.0)

Tell = Callable[[float], None]


@dataclass
class Said:
    """What the page is told, by another thread than the one that works."""

    phase: str = ""
    progress: float = 0.0

    def part(self, phase: str, span: tuple[float, float]) -> Tell:
        self.phase, self.progress = phase, span[0]

        def tell(share: float) -> None:
            self.progress = span[0] + share * (span[1] - span[0])

        return tell


class LabelSearch:
    """For one run."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        self.run_id, self.said = run_id, Said()
        self.database, self.files = Database(settings.database, 60.0), Files(settings.files_root)
        with self.database.read() as session:
            run = runs.get(session, run_id)
            bases = runs.ancestors(session, run_id)
            check = label_checks.find(session, run_id)
        self.spec = RunSpec.model_validate(run.spec)
        # Where a run began with another's model, that one may have seen these labels: the first of the chain has not.
        self.root = str((bases[-1].spec if bases else run.spec)["model"])
        self.asked = check.model if check is not None else ""
        self.alone, self.learned = not bases, False
        self.catalog = ModelCatalog(settings, lambda run_id: finished_run(self.database, self.files, run_id))

    def search(self) -> tuple[list[Suspect], Summary]:
        """What is likely wrong, the likeliest first. Raises HeadstartError."""
        from app.datasets.split import normalised
        from app.datasets.store import DatasetStore
        from worker import wrong_labels

        began = time.monotonic()
        self.said.part("reading the rows", (0.0, 0.0))
        store = DatasetStore(self.database, self.files)
        examples = load_examples(store, self.files, self.spec)
        if task(self.spec.task).labels_a_row == "entities":
            return self._tags(store, examples, began)
        rows, notes = len(examples), []
        names = task(self.spec.task).labels(examples)
        times = ROWS_TIMES_LABELS if task(self.spec.task).labels_a_row == "several" else ROWS_TIMES_CLASSES
        most = min(suspects.MOST_ROWS, times // max(1, len(names)))
        if rows > most:
            examples = _some(examples, most)
            notes.append(f"Of {rows:,} rows {most:,} were looked at, drawn at random.")
        kind_of_rows = self._kinds(store, examples, names)
        kind = kind_of_rows(range(len(examples)))
        texts = _texts(examples)
        groups = [normalised(one if isinstance(one, str) else "\x1f".join(one)) for one in texts]
        fold_of = wrong_labels.dealt(groups, kind.strata)
        by = ["words (TF-IDF)"]
        tell = self.said.part("comparing words", WORDS)
        opinions = [wrong_labels.cross_fitted(kind.by_words(texts), fold_of, kind.outputs, tell)]
        self._look_at_root(notes)
        reader = self.asked or self._best_reader(texts, groups, kind_of_rows, kind, notes)
        self._doubt_reader(reader, notes)
        means = self._means(reader, texts, notes)
        if means is not None:
            learned = ", without what this run learned" if reader == self.root else ""
            by.append(f"the pre-trained model {title_of(reader)}{learned}")
            for at, layer in enumerate(means):
                span = (HEAD[1] - HEAD[0]) / len(means)
                here = (HEAD[0] + at * span, HEAD[0] + (at + 1) * span)
                tell = self.said.part("learning from what the pre-trained model says", here)
                judge = kind.by_features(layer)
                opinions.append(wrong_labels.cross_fitted(judge, fold_of, kind.outputs, tell))
        probabilities = kind.together(opinions)
        held = np.array([part != "train" for part in examples.parts])
        own = self._own(texts, held, kind) if self.alone else None
        if own is not None:
            by.append("the run’s own model, for rows that did not train")
            probabilities[held] = kind.together([*(one[held] for one in opinions), own], held)
        doubts, likely = kind.doubts(probabilities, MOST_KEPT)
        kept = [_suspect(examples, one) for one in doubts]
        seconds = time.monotonic() - began
        return kept, Summary(rows, len(examples), likely, seconds, by, notes)

    def _look_at_root(self, notes: list[str]) -> None:
        """Whether the model that the run began with has learned from these labels: then neither it nor the run's own is asked."""
        from app.tasks.learners import learned_from

        try:
            path = self.catalog.find(self.root, ask_hub=False).path
        except HeadstartError:  # gone; who reads says so
            return
        of = learned_from(self.database, path, self.spec.dataset) if path and self.root != STARTER else None
        if of is not None:
            self.learned, self.alone = True, False
            notes.append(
                f"The run began with the model of the run “{of}”, which learned from these labels, so neither that model nor the "
                "run’s own was asked."
            )

    def _doubt_reader(self, reader: str, notes: list[str]) -> None:
        from worker.readers import has_labels

        try:
            own = has_labels(self.catalog.find(reader, ask_hub=False))
        except HeadstartError:
            return
        if own:
            notes.append(
                f"{title_of(reader)} was fine-tuned for labels of its own; if it learned them from these rows, it finds them right."
            )

    def _tags(self, store: "DatasetStore", examples: Examples, began: float) -> tuple[list[Suspect], Summary]:
        """The same where the labels are entities."""
        from app.models.hub import fetch
        from worker import tag_search

        notes: list[str] = []
        self._look_at_root(notes)
        reader, folder = self.asked or (STARTER if self.learned else self.root), None
        self._doubt_reader(reader, notes)
        try:
            folder = fetch(self.catalog.find(reader, ask_hub=False), log.info, offline=True)
        except HeadstartError as error:
            notes.append(
                f"The pre-trained model could not be asked, so only words were compared: {error.message}"
            )
        own = self.files.model(self.run_id)
        asked = tag_search.Asked(
            self.spec,
            self._cells(store, entities_column(self.spec)),
            folder,
            own if self.alone and own.is_dir() else None,
            MOST_SECONDS,
        )
        found = tag_search.search(asked, examples, self.said.part, MOST_KEPT)
        by = ["words and their neighbours"]
        if found.read:
            learned = ", without what this run learned" if reader == self.root else ""
            by.append(f"the pre-trained model {title_of(reader)}{learned}")
        if found.judged:
            by.append("the run’s own model, for rows that did not train")
        seconds = time.monotonic() - began
        return found.suspects, Summary(
            len(examples), found.looked_at, found.likely, seconds, by, notes + found.notes
        )

    def _cells(self, store: "DatasetStore", column: str) -> dict[int, str]:
        """The cells of a column as they are written, by row id."""
        version = self.spec.dataset_version or int(store.view(self.spec.dataset)["version"])
        table = store.table(self.spec.dataset, version, [column])
        cells = [(cell or "").strip() for cell in table[column].to_pylist()]
        return dict(zip(table[ROW_ID].to_pylist(), cells, strict=True))

    def _kinds(
        self, store: "DatasetStore", examples: Examples, names: list[str]
    ) -> "Callable[[Sequence[int]], Kind]":
        """The kind of some of the rows alone."""
        from worker.label_kinds import Kind, Number, kind_of

        how, labels = task(self.spec.task).labels_a_row, examples["label"]
        if how == "number":
            written = self._cells(store, column_of(self.spec, "label"))
            commas = with_commas(list(written.values()))

        def kind_of_rows(rows: Sequence[int]) -> Kind:
            some = [labels[row] for row in rows]
            if how == "number":
                return Number(some, [written[examples.row_ids[row]] for row in rows], commas)
            return kind_of(how == "several", some, names)

        return kind_of_rows

    def _best_reader(
        self,
        texts: Any,
        groups: list[str],
        kind_of_rows: "Callable[[Sequence[int]], Kind]",
        kind: "Kind",
        notes: list[str],
    ) -> str:
        """The pre-trained model that reads these texts best."""
        from worker import readers

        asked = readers.candidates(self.catalog, None if self.learned else self.root)
        tell = self.said.part("trying who reads these texts best", CHOOSING)
        assert self.spec.max_length is not None
        choice = readers.best(
            asked, self.catalog, texts, groups, kind_of_rows, kind.outputs, self.spec.max_length, tell
        )
        if len(choice.surprise) > 1:
            of = ", ".join(f"{title_of(one)} {loss:.2f}" for one, loss in choice.surprise.items())
            notes.append(
                f"Of the pre-trained models here {title_of(choice.reader)} reads these texts best ({kind.surprise_is} on "
                f"{min(readers.TRIED_ROWS, len(texts))} rows: {of})."
            )
        return choice.reader

    def _means(self, reader: str, texts: Any, notes: list[str]) -> npt.NDArray[np.float32] | None:
        """What the pre-trained model says of the texts; None with a note why it was not asked."""
        from app.models.hub import fetch
        from worker.frozen_means import TooSlow, frozen_means

        tell = self.said.part(f"reading the texts with {title_of(reader)}", READING)
        assert self.spec.max_length is not None
        try:
            folder = fetch(self.catalog.find(reader, ask_hub=False), log.info, offline=True)
            return frozen_means(folder, texts, self.spec.max_length, MOST_SECONDS, tell)
        except TooSlow as slow:
            notes.append(
                f"The pre-trained model would read these texts for about {slow.seconds / 60:,.0f} minutes, so only their words "
                "were compared."
            )
        except HeadstartError as error:
            notes.append(
                f"The pre-trained model could not be asked, so only words were compared: {error.message}"
            )
        return None

    def _own(self, texts: Any, held: npt.NDArray[np.bool_], kind: "Kind") -> Any:
        """What the run's model says of the rows that it did not learn from, (held, outputs); None without a model."""
        from worker.tasks import torch_task

        folder = self.files.model(self.run_id)
        if not folder.is_dir():
            return None
        tell = self.said.part("asking the run’s own model", OWN)
        half, roles = torch_task(self.spec.task), task(self.spec.task).input_roles(self.spec)
        model, tokenizer = half.open(folder, self.spec)
        asked = [texts[row] for row in np.flatnonzero(held)]
        inputs = [
            one if isinstance(one, str) else {role.name: part for role, part in zip(roles, one, strict=True)}
            for one in asked
        ]
        found = np.zeros((len(inputs), kind.outputs))
        for start in range(0, len(inputs), ANSWERED):
            outputs = half.answer(model, tokenizer, self.spec, inputs[start : start + ANSWERED])
            for row, output in enumerate(outputs, start):
                found[row] = kind.answered(output)
            tell(min(1.0, (start + ANSWERED) / len(inputs)))
        return found


def title_of(model: str) -> str:
    return STARTER_TITLE if model == STARTER else model.split(":", 1)[-1]


def _texts(examples: Examples) -> Any:
    if "text_pair" in examples.values:
        return list(zip(examples["text"], examples["text_pair"], strict=True))
    return examples.texts


def _some(examples: Examples, count: int) -> Examples:
    return examples.only(np.sort(np.random.default_rng(0).permutation(len(examples))[:count]).tolist())


def _suspect(examples: Examples, doubt: "Doubt") -> Suspect:
    said = {name: value for name, value in vars(doubt).items() if name != "row"}
    return Suspect(
        row_id=examples.row_ids[doubt.row],
        part=examples.parts[doubt.row],
        text=examples.texts[doubt.row],
        second=examples["text_pair"][doubt.row] if "text_pair" in examples.values else "",
        **said,
    )
