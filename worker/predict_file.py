"""The process that predicts one file: `python -m worker.predict_file FILE_ID ATTEMPT`.

read the file as a data set is read ▸ predict in chunks, each sorted by length and batched by its task ▸ write the
rows in their old order with the answers beside them. Rows without an input keep their place, with empty answers.
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
from app.core.file_predictions import LostFile
from app.core.files import Files
from app.core.settings import Settings
from app.core.spec import RunSpec
from app.core.tables import FilePrediction
from app.tasks import task as task_named

log = logging.getLogger("worker.predict_file")

CHUNK = 512  # rows that are sorted by length together; between chunks progress is told and a cancel is seen
SLOW_CHUNK = 32  # for tasks that write texts
TELL_SECONDS = 0.5
ORPHANED = 4


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
        """Predicts the file and writes how it ended. Raises LostFile."""
        end: tuple[str, dict[str, Any] | None]
        try:
            self._predict()
            end = "succeeded", None
        except Cancelled:
            end = "cancelled", None
        except HeadstartError as error:
            end = "failed", error.as_dict()
        except LostFile:
            raise
        except Exception as error:
            from worker.trainer import disk_full, memory_full

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
        part = self.folder / f"result-{self.attempt}.part"
        done = 0
        with part.open("w", encoding="utf-8-sig", newline="") as sink:
            writer = csv.writer(sink)
            added: list[str] | None = None
            for rows in self._chunks():
                inputs = [self._input(row) for row in rows]
                there = [place for place, value in enumerate(inputs) if value is not None]
                outputs = half.answer(model, tokenizer, self.spec, [inputs[place] for place in there])
                answers = dict(zip(there, outputs, strict=True))
                if added is None and outputs:
                    added = list(self.task.output_cells(outputs[0]))
                    names = [*columns, *(_free(name, columns) for name in added)]
                    writer.writerow([neutralised(name) for name in names])
                    writer.writerows([*row, *[""] * len(added)] for row in self._held)
                    self._held.clear()
                for place, row in enumerate(rows):
                    cells = [neutralised(row[name]) for name in columns]
                    if added is None:  # not one answer yet, so their columns are not known
                        self._held.append(cells)
                        continue
                    found = self.task.output_cells(answers[place]) if place in answers else {}
                    writer.writerow([*cells, *(neutralised(found.get(name, "")) for name in added)])
                done += len(rows)
                self._tell(done=done)
            if added is None:
                asked = " and ".join(repr(name) for name in self.found.columns.values())
                raise Invalid(f"No row has an input in the column {asked}: there is nothing to predict.")
            sink.flush()
            os.fsync(sink.fileno())
        self._tell(done=done, now=True)  # the fence: whoever lost the file does not replace its result
        os.replace(part, self.folder / "result.csv")

    def _read(self) -> list[str]:
        """Reads the original into rows.parquet; returns its columns. Raises Invalid."""
        from app.datasets.ingest import ingest
        from app.datasets.options import ReadOptions

        rows = self.folder / "rows"
        shutil.rmtree(rows, ignore_errors=True)
        rows.mkdir()
        original = self.folder / "original"
        found = ingest(original, rows, self.found.name, ReadOptions(), lambda _: self._tell())
        missing = {role: name for role, name in self.found.columns.items() if name not in found.columns}
        if missing:
            there = ", ".join(map(repr, found.columns[:20])) + (" …" if len(found.columns) > 20 else "")
            problems = [
                {"where": f"columns.{role}", "message": f"there is no column {name!r}; the file has {there}"}
                for role, name in missing.items()
            ]
            raise Invalid.from_problems("The file can't be predicted", problems)  # type: ignore[arg-type]
        self._held: list[list[Any]] = []
        self._tell(rows=found.rows, now=True)
        return found.columns

    def _chunks(self) -> Iterator[list[dict[str, str]]]:
        """The rows, {column: cell}, a few hundred at a time: memory stays flat however long the file is."""
        import pyarrow.parquet as pq

        from app.datasets.rows import LINE, ROW_ID, ROWS_FILE

        size = SLOW_CHUNK if self.task.ability in ("text2text", "generation") else CHUNK
        with pq.ParquetFile(self.folder / "rows" / ROWS_FILE) as file:
            for batch in file.iter_batches(batch_size=size):
                rows = batch.to_pylist()
                for row in rows:
                    row.pop(ROW_ID), row.pop(LINE)
                yield rows

    def _input(self, row: dict[str, str]) -> Any:
        """The input of predict, or None for a row with an empty cell or one that the task can't take."""
        cells = {role: row[name] or "" for role, name in self.found.columns.items()}
        if any(not cell.strip() for cell in cells.values()):
            return None
        value = self.task.make_input(cells)
        return value if self.task.wrong_input(value, self.spec) is None else None

    def _tell(self, now: bool = False, **values: int) -> None:
        """Progress to the database, twice a second. Raises Cancelled, LostFile."""
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
    threading.Thread(target=_die_with_parent, name="lifeline", daemon=True).start()
    job = FileJob(Settings(), sys.argv[1], int(sys.argv[2]))
    try:
        job.run()
    except LostFile:
        log.warning("the file belongs to another attempt; nothing more is written")
    finally:
        for path in Path(job.folder).glob(f"result-{job.attempt}.part"):
            path.unlink()
        shutil.rmtree(job.folder / "rows", ignore_errors=True)
    logging.shutdown()
    os._exit(0)  # tearing torch down takes two seconds


def _die_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
