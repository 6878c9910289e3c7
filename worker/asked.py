"""What a file asks a model: an input for each row, or for each sentence where a row is one token."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.core.spec import RunSpec
from app.datasets.readers.conll import Sentence
from app.datasets.rows import LINE
from app.tasks.base import Task

Row = Mapping[str, Any]  # column → cell; LINE → its line in the file


@dataclass(frozen=True)
class Asked:
    """Consecutive rows of the file that ask for one answer. `value`: the input of predict; None: they ask nothing."""

    rows: list[Row]
    value: Any


class Layout(Protocol):
    def asked(self, rows: Iterable[Row]) -> Iterator[Asked]:
        """All `rows` in their order, with their inputs. Raises Invalid."""
        ...

    def cells(self, asked: Asked, output: dict[str, Any]) -> list[dict[str, Any]]:
        """An answer as cells beside each of its rows."""
        ...


class RowByRow:
    """Each row is an input. A row with an empty cell, or with one that the task can't take, asks nothing."""

    def __init__(self, task: Task, spec: RunSpec, columns: Mapping[str, str]) -> None:
        self._task, self._spec, self._columns = task, spec, columns

    def asked(self, rows: Iterable[Row]) -> Iterator[Asked]:
        for row in rows:
            yield Asked([row], self._value(row))

    def _value(self, row: Row) -> Any:
        cells = {role: row[name] or "" for role, name in self._columns.items()}
        if any(not cell.strip() for cell in cells.values()):
            return None
        value = self._task.make_input(cells)
        return value if self._task.wrong_input(value, self._spec) is None else None

    def cells(self, asked: Asked, output: dict[str, Any]) -> list[dict[str, Any]]:
        return [self._task.output_cells(output)]


class TokenByToken:
    """Each row is a token; `sentence` and `token` are columns. As in a data set of such a table, a sentence ends where the
    next one is named, and rows without a name go on with it. A row without a token asks nothing."""

    def __init__(self, task: Task, sentence: str, token: str) -> None:
        self._task, self._sentence, self._token = task, sentence, token

    def asked(self, rows: Iterable[Row]) -> Iterator[Asked]:
        held: list[Row] = []
        name, found = "", Sentence(0)
        for row in rows:
            begins = row[self._sentence].strip()
            if held and begins and begins != name:
                yield Asked(held, found.tokens or None)
                held = []
            if not held:
                name, found = begins, Sentence(row[LINE])
            held.append(row)
            if token := row[self._token].strip():
                found.add(token, "")  # refuses a sentence that does not end
        if held:
            yield Asked(held, found.tokens or None)

    def cells(self, asked: Asked, output: dict[str, Any]) -> list[dict[str, Any]]:
        each = iter(self._task.token_cells(output))
        return [next(each) if row[self._token].strip() else {} for row in asked.rows]
