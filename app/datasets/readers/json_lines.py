"""JSON lines: one object a line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.readers.json_rows import PANDAS, Entry, JsonRows
from app.datasets.readers.json_values import Refused, object_of
from app.datasets.readers.source import Lines


class JsonLines(JsonRows):
    """See JsonRows. Blank lines are skipped."""

    format = "jsonl"
    nothing = "only blank lines"

    def __init__(self, path: Path, encoding: Encoding, progress: Callable[[int], None]) -> None:
        self._path, self._encoding = path, encoding
        self._lines = Lines(path, encoding)
        try:
            super().__init__(progress)
        except BaseException:
            self.close()
            raise

    @property
    def _taken(self) -> int:
        return self._lines.bytes_read

    def close(self) -> None:
        self._lines.close()

    def entries(self) -> Iterator[Entry]:
        self._lines.close()
        self._lines = Lines(self._path, self._encoding)
        for number, line in self._lines:
            if line.strip():
                yield number, line, _found(line)

    def _refuse_document(self, line: str) -> None:
        if line.strip() == "{":
            raise Invalid(
                "The file is one JSON object over several lines. Headstart reads a JSON list of objects, or JSON lines: one "
                f"object on each line, without brackets or commas between them. {PANDAS}",
                kind="json",
            )


def _found(line: str) -> dict[str, Any] | Refused:
    try:
        return object_of(line)
    except Refused as refused:
        return refused
