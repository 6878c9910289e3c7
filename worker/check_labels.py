"""The process that looks for wrong labels in the data of one finished run: `python -m worker.check_labels RUN_ID ATTEMPT`.

read the rows as the run did ▸ judge each by words and by what the pre-trained model says of it, with models that have not seen it
▸ rows that did not train: by the run's own model too ▸ write the suspects aside and rename. Nothing of the run is changed.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.exc import OperationalError

from app.core import label_checks, runs
from app.core.db import Database
from app.core.errors import HeadstartError, NoSpace
from app.core.files import Files
from app.core.settings import Settings
from app.core.side_jobs import LostJob
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
from worker.processes import die_with_parent

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore
    from worker.label_kinds import Doubt, Kind

log = logging.getLogger("worker.check_labels")

NICENESS = 10  # a training that goes on beside it comes first
TELL_SECONDS = 0.5
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
    """One attempt for one run."""

    def __init__(self, settings: Settings, run_id: str, attempt: int) -> None:
        self.settings, self.run_id, self.attempt = settings, run_id, attempt
        self.database, self.files = Database(settings.database, 60.0), Files(settings.files_root)
        self.said = Said()
        with self.database.read() as session:
            run = runs.get(session, run_id)
            bases = runs.ancestors(session, run_id)
            check = label_checks.find(session, run_id)
        self.spec = RunSpec.model_validate(run.spec)
        # Where a run began with another's model, that one may have seen these labels: the first of the chain has not.
        self.root = str((bases[-1].spec if bases else run.spec)["model"])
        self.asked = check.model if check is not None else ""
        self.alone, self.learned = not bases, False
        self.catalog = ModelCatalog(
            self.settings, lambda run_id: finished_run(self.database, self.files, run_id)
        )

    def run(self) -> None:
        """Does it, and writes how it ended. Raises LostJob."""
        state, error = "succeeded", None
        try:
            found, summary = self.search()
            self.tell()  # the fence: whoever lost the search does not replace what was found
            suspects.write(self.files.suspects(self.run_id), found, summary)
        except HeadstartError as fault:
            state, error = "failed", fault.as_dict()
        except LostJob:
            raise
        except Exception as fault:
            log.exception("the search failed")
            state, error = "failed", _told(fault).as_dict()
        with self.database.write() as session:
            label_checks.finish(session, self.run_id, self.attempt, state, time.time(), error)

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

        asked = readers.candidates(self.catalog, self.root)[int(self.learned) :] or [STARTER]
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

    # -- telling, from another thread -------------------------------------------------------------------------

    def tell(self) -> bool:
        """Progress to the database; returns whether to stop. Raises LostJob."""
        with self.database.write() as session:
            return label_checks.record(
                session,
                self.run_id,
                self.attempt,
                time.time(),
                phase=self.said.phase,
                progress=self.said.progress,
            )

    def keep_telling(self) -> None:
        """Until the process ends; ends it as soon as the user cancels, whatever it computes."""
        while True:
            time.sleep(TELL_SECONDS)
            try:
                if self.tell():
                    with self.database.write() as session:
                        label_checks.finish(session, self.run_id, self.attempt, "cancelled", time.time())
                    os._exit(0)
            except LostJob:
                os._exit(0)
            except OperationalError as error:
                log.warning("the database does not answer now (%s)", error)


def title_of(model: str) -> str:
    return STARTER_TITLE if model == STARTER else model.split(":", 1)[-1]


def _texts(examples: Examples) -> Any:
    if "text_pair" in examples.values:
        return list(zip(examples["text"], examples["text_pair"], strict=True))
    return examples.texts


def _some(examples: Examples, count: int) -> Examples:
    rows = np.sort(np.random.default_rng(0).permutation(len(examples))[:count]).tolist()
    return Examples(
        [examples.row_ids[row] for row in rows],
        {role: [column[row] for row in rows] for role, column in examples.values.items()},
        [examples.parts[row] for row in rows],
    )


def _suspect(examples: Examples, doubt: "Doubt") -> Suspect:
    said = {name: value for name, value in vars(doubt).items() if name != "row"}
    return Suspect(
        row_id=examples.row_ids[doubt.row],
        part=examples.parts[doubt.row],
        text=examples.texts[doubt.row],
        second=examples["text_pair"][doubt.row] if "text_pair" in examples.values else "",
        **said,
    )


def _told(error: Exception) -> HeadstartError:
    from worker.disk import disk_full
    from worker.memory import memory_full

    if memory_full(error):
        return HeadstartError("The memory is too small to look for wrong labels.", kind="memory")
    if disk_full(error):
        return NoSpace("The disk ran full. Free some space and try again.")
    return HeadstartError(f"Headstart met an unexpected {type(error).__name__}: {str(error)[:300]}")


def main() -> None:
    """Ends when its standard input closes: whoever started it is gone, or wants it to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.nice(NICENESS)
    threading.Thread(target=die_with_parent, name="lifeline", daemon=True).start()
    search = LabelSearch(Settings(), sys.argv[1], int(sys.argv[2]))
    threading.Thread(target=search.keep_telling, name="telling", daemon=True).start()
    try:
        search.run()
    except LostJob:
        log.warning("the search belongs to another attempt; nothing more is written")
    finally:
        path = search.files.suspects(search.run_id)
        path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    logging.shutdown()
    os._exit(0)  # tearing torch down takes two seconds


if __name__ == "__main__":
    main()
