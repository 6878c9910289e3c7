"""The process that predicts one file: `python -m worker.predict_file FILE_ID ATTEMPT`.

read the file as a data set is read ▸ predict in chunks, each sorted by length and batched by its task ▸ write the
rows in their old order with the answers beside them. Rows without an input keep their place, with empty answers. A file
of one token a row is asked sentence by sentence, and each token gets its own answer.
"""

import csv
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core import file_predictions, runs
from app.core.cells import neutralised
from app.core.db import Database
from app.core.errors import HeadstartError, Invalid, NoSpace
from app.core.files import Files
from app.core.settings import Settings
from app.core.side_jobs import LostJob
from app.core.spec import RunSpec
from app.core.tables import FilePrediction
from app.datasets.readers.token_table import token_places
from app.tasks import task as task_named
from worker.asked import Asked, Layout, RowByRow, TokenByToken
from worker.processes import die_with_parent

log = logging.getLogger("worker.predict_file")

CHUNK = 1024  # inputs that are sorted by length together; between them progress is told and a cancel is seen
SLOW_CHUNK = 32  # for tasks that write texts
MOST_ROWS = 8192  # of a chunk, where an input stands in several
TELL_SECONDS = 0.5


class Cancelled(Exception):
    """The user cancelled it."""


class FileJob:
    """One attempt to predict one file."""

    def __init__(self, settings: Settings, file_id: str, attempt: int) -> None:
        self.database, self.files = Database(settings.database, 60.0), Files(settings.files_root)
        self.file_id, self.attempt = file_id, attempt
        with self.database.read() as session:
            found = session.get(FilePrediction, file_id)
            assert found is not None
            self.found = found
            self.spec = RunSpec.model_validate(runs.get(session, found.run_id).spec)
        self.task = task_named(self.spec.task)
        self.folder = self.files.predicted(found.run_id, file_id)
        self._told = 0.0

    def run(self) -> None:
        """Predicts the file and writes how it ended. Raises LostJob."""
        end: tuple[str, dict[str, Any] | None]
        try:
            self._predict()
            end = "succeeded", None
        except Cancelled:
            end = "cancelled", None
        except HeadstartError as error:
            end = "failed", error.as_dict()
        except LostJob:
            raise
        except Exception as error:
            from worker.disk import disk_full
            from worker.memory import memory_full

            log.exception("predicting the file failed")
            fault = HeadstartError(f"Headstart met an unexpected {type(error).__name__}: {str(error)[:300]}")
            if memory_full(error):
                fault = HeadstartError("The memory is too small to predict this file.", kind="memory")
            elif disk_full(error):
                fault = NoSpace("The disk ran full. Free some space and try again.")
            end = "failed", fault.as_dict()
        with self.database.write() as session:
            file_predictions.finish(session, self.file_id, self.attempt, end[0], time.time(), end[1])

    def _predict(self) -> None:
        from worker.tasks import torch_task

        columns = self._read()
        half = torch_task(self.spec.task)
        model, tokenizer = half.open(self.files.model(self.found.run_id), self.spec)

        def answers(asked: list[Asked]) -> Iterator[list[dict[str, Any]]]:
            """The cells beside the rows of each of `asked`; {} beside a row that asks nothing."""
            inputs = [one.value for one in asked if one.value is not None]
            outputs = iter(half.answer(model, tokenizer, self.spec, inputs) if inputs else [])
            for one in asked:
                nothing: list[dict[str, Any]] = [{}] * len(one.rows)
                yield nothing if one.value is None else self.layout.cells(one, next(outputs))

        # The columns of the answers stand above the first row, whichever row has the first input.
        added = list(next(filter(None, *answers([self._first()]))))
        part = self.folder / f"result-{self.attempt}.part"
        done = 0
        with part.open("w", encoding="utf-8-sig", newline="") as sink:
            writer = csv.writer(sink)
            names = [*columns, *(_free(name, columns) for name in added)]
            writer.writerow([neutralised(name) for name in names])
            for asked in self._chunks():
                for one, found in zip(asked, answers(asked), strict=True):
                    for row, cells in zip(one.rows, found, strict=True):
                        answer = [cells.get(name, "") for name in added]
                        writer.writerow([neutralised(cell) for cell in [*map(row.get, columns), *answer]])
                    done += len(one.rows)
                self._tell(done=done)
            sink.flush()
            os.fsync(sink.fileno())
        self._tell(done=done, now=True)  # the fence: whoever lost the file does not replace its result
        os.replace(part, self.folder / "result.csv")

    def _first(self) -> Asked:
        """The first rows that ask something. Raises Invalid."""
        for asked in self._chunks():
            for one in asked:
                if one.value is not None:
                    return one
            self._tell()
        named = " and ".join(repr(name) for name in self.found.columns.values())
        raise Invalid(f"No row has an input in the column {named}: there is nothing to predict.")

    def _read(self) -> list[str]:
        """Reads the original into rows.parquet and says how rows become inputs; returns its columns. Raises Invalid."""
        from app.datasets.ingest import ingest
        from app.datasets.options import ReadOptions

        rows = self.folder / "rows"
        shutil.rmtree(rows, ignore_errors=True)
        rows.mkdir()
        columns = self.found.columns
        # In a .txt that is read for its texts each line is one, however short.
        lines = "text" in columns.values() and Path(self.found.name).suffix.casefold() in (".txt", ".text")
        found = ingest(
            self.folder / "original",
            rows,
            self.found.name,
            ReadOptions(),
            lambda _: self._tell(),
            untagged=self.task.takes_tokens and not lines,
        )
        self.layout: Layout = RowByRow(self.task, self.spec, columns)
        if found.used["format"] == "token_rows" and (where := token_places(found.columns)):
            sentence, token = (found.columns[place] for place in where)
            # A column that was asked for by another name is that of whole texts.
            if not set(columns.values()) & {*found.columns} - {token}:
                self.layout, columns = TokenByToken(self.task, sentence, token), {}
        missing = {role: name for role, name in columns.items() if name not in found.columns}
        if missing:
            there = ", ".join(map(repr, found.columns[:20])) + (" …" if len(found.columns) > 20 else "")
            problems = [
                {"where": f"columns.{role}", "message": f"there is no column {name!r}; the file has {there}"}
                for role, name in missing.items()
            ]
            raise Invalid.from_problems("The file can't be predicted", problems)  # type: ignore[arg-type]
        self._tell(rows=found.rows, now=True)
        return found.columns

    def _chunks(self) -> Iterator[list[Asked]]:
        """The rows with their inputs, a few hundred at a time: memory stays flat however long the file is."""
        size = SLOW_CHUNK if self.task.ability in ("text2text", "generation") else CHUNK
        held: list[Asked] = []
        rows = 0
        for one in self.layout.asked(self._rows()):
            held.append(one)
            rows += len(one.rows)
            if len(held) >= size or rows >= MOST_ROWS:
                yield held
                held, rows = [], 0
        if held:
            yield held

    def _rows(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        from app.datasets.rows import ROWS_FILE

        with pq.ParquetFile(self.folder / "rows" / ROWS_FILE) as file:
            for batch in file.iter_batches(batch_size=CHUNK):
                yield from batch.to_pylist()

    def _tell(self, now: bool = False, **values: int) -> None:
        """Progress to the database, twice a second. Raises Cancelled, LostJob."""
        if not now and time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        with self.database.write() as session:
            stop = file_predictions.record(session, self.file_id, self.attempt, time.time(), **values)
        if stop:
            raise Cancelled


def _free(name: str, taken: list[str]) -> str:
    """A name for a column of answers that the file does not have."""
    while name in taken:
        name = f"{name} (model)"
    return name


def main() -> None:
    """Ends when its standard input closes: whoever started it is gone, or wants it to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    threading.Thread(target=die_with_parent, name="lifeline", daemon=True).start()
    job = FileJob(Settings(), sys.argv[1], int(sys.argv[2]))
    try:
        job.run()
    except LostJob:
        log.warning("the file belongs to another attempt; nothing more is written")
    finally:
        for path in Path(job.folder).glob(f"result-{job.attempt}.part"):
            path.unlink()
        shutil.rmtree(job.folder / "rows", ignore_errors=True)
    logging.shutdown()
    os._exit(0)  # tearing torch down takes two seconds


if __name__ == "__main__":
    main()
