"""What a check of the data doctor is: it sees all rows once, a block at a time, and then says what it found."""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from app.datasets.column import NUMBER
from app.datasets.lists import labels_in
from app.datasets.parts import PARTS, part_named
from app.datasets.rows import LINE, ROW_ID
from app.datasets.split import normalised

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

Severity = Literal["error", "warning", "note"]
# Raised when a check says something else than before: what was kept of earlier examinations is then not used.
EDITION = 7
NO_LABEL = -1
TRAIN, VALIDATION, TEST, NO_PART = 0, 1, 2, -1
MOST_LABELS = 100_000
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Asked:
    """What is examined: the columns that are read as one text, the one with the labels, what its labels are, the column
    that says which part a row belongs to (None: parts are drawn by chance, so copies stay together), and the tokenizer.json
    of the model that texts are counted with. `tags`: the column with a tag for each token of the text, if it is a list of tokens."""

    text: tuple[str, ...]
    label: str | None = None
    labels: Literal["classes", "numbers", "several"] = "classes"
    part: str | None = None
    tokenizer: str | None = None
    model: str = ""
    tags: str | None = None

    @property
    def key(self) -> str:
        """The same for the same question."""
        told = json.dumps([EDITION, asdict(self)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a run would read."""
        return (*self.text, *([self.label] if self.label else []), *([self.tags] if self.tags else []))


@dataclass(frozen=True)
class Fix:
    """A step that mends a finding.

    `step`: its JSON. If it is one of named rows, `of` says which of the finding's: those of that role, "" for all.
    `changes`: how many rows.
    """

    id: str
    title: str
    changes: int
    step: Mapping[str, Any]
    of: str | None = None


@dataclass
class Found:
    """One finding. `id`: [a-z0-9-]+, unique in an examination. `count`: the rows that are wrong.

    The rows to show: `positions` in the version, and for each its `groups` number (rows that belong together), `roles`
    (which of them a fix means), `notes`; each of them empty or as long as `positions`.
    """

    id: str
    severity: Severity
    title: str
    message: str
    count: int
    columns: Sequence[str] = ()
    positions: "Sequence[int] | np.ndarray" = ()
    groups: "Sequence[int] | np.ndarray" = ()
    roles: Sequence[str] = ()
    notes: Sequence[str] = ()
    fixes: list[Fix] = field(default_factory=list)


class Block:
    """A row group: the cells as lists, what all checks need of them computed once."""

    def __init__(self, table: "pyarrow.Table", first: int, asked: Asked) -> None:
        self._table, self._asked, self._cells = table, asked, dict[str, list[str]]()
        self.first = first  # position of the first row

    def __len__(self) -> int:
        return len(self._table)

    def cells(self, column: str) -> list[str]:
        if column not in self._cells:
            self._cells[column] = self._table[column].to_pylist()
        return self._cells[column]

    @property
    def ids(self) -> "np.ndarray":
        found: np.ndarray = self._table[ROW_ID].to_numpy()
        return found

    @property
    def lines(self) -> "np.ndarray":
        found: np.ndarray = self._table[LINE].to_numpy()
        return found

    @cached_property
    def texts(self) -> list[str]:
        """The text of each row; of several columns one after the other."""
        columns = [self.cells(name) for name in self._asked.text]
        return (
            columns[0] if len(columns) == 1 else ["\x1f".join(cells) for cells in zip(*columns, strict=True)]
        )

    @cached_property
    def normalised(self) -> list[str]:
        """As the split compares texts."""
        if len(self._asked.text) == 1:
            return list(map(normalised, self.texts))
        columns = [map(normalised, self.cells(name)) for name in self._asked.text]
        return ["\x1f".join(cells) if any(cells) else "" for cells in zip(*columns, strict=True)]

    @cached_property
    def words(self) -> list[str]:
        """Normalised, and only letters and digits, with single spaces."""
        return [_NO_WORD.sub(" ", text).strip() for text in self.normalised]

    @cached_property
    def labels(self) -> list[str] | None:
        """Stripped, as training reads them; None without a label column."""
        label = self._asked.label
        return None if label is None else [cell.strip() for cell in self.cells(label)]


class Rows:
    """What is kept of all rows, 21 bytes of each.

    `texts`: int64 hashes of the normalised texts, 0 for an empty one. `labels`: int32 codes into `names`, NO_LABEL for an empty
    one; labels that mean the same, as b|a and a|b, have one code. `parts`: int8, NO_PART without a part column.
    """

    def __init__(self, count: int, asked: Asked) -> None:
        import numpy as np

        self.count, self.asked = count, asked
        self.texts = np.zeros(count, np.int64)
        self.labels = np.full(count, NO_LABEL, np.int32)
        self.parts = np.full(count, NO_PART, np.int8)
        self.names: list[str] = []
        self.too_many_labels = False
        self._codes: dict[str, int] = {}
        self._meanings: dict[str, int] = {}

    def add(self, block: Block) -> None:
        here = slice(block.first, block.first + len(block))
        # Python's own hash of a text: 64 bits, another in every process, which nobody can aim at.
        self.texts[here] = [hash(text) or 1 if text else 0 for text in block.normalised]
        if block.labels is not None and not self.too_many_labels:
            self.labels[here] = [self._code(label) if label else NO_LABEL for label in block.labels]
            self.too_many_labels = len(self._codes) > MOST_LABELS
        if self.asked.part is not None:
            found = (part_named(cell) for cell in block.cells(self.asked.part))
            self.parts[here] = [NO_PART if part is None else PARTS.index(part) for part in found]

    def _code(self, label: str) -> int:
        code = self._codes.get(label)
        if code is None:
            code = self._meanings.setdefault(_meaning(label, self.asked.labels), len(self.names))
            if code == len(self.names):
                self.names.append(label)
            self._codes[label] = code
        return code

    @property
    def with_classes(self) -> bool:
        return self.asked.label is not None and not self.too_many_labels and self.asked.labels == "classes"


class Check(ABC):
    """One kind of fault. Made anew for every examination."""

    doing: ClassVar[str]  # what the page says while it works: "looking for …"

    def __init__(self, asked: Asked, profile: Mapping[str, Any], count: int) -> None:
        """`profile`: {column: what app.datasets.column tells of it}. `count`: how many rows come."""
        self.asked, self.profile, self.count = asked, profile, count

    def add(self, block: Block) -> None:  # noqa: B027
        """Sees a block; blocks come in order."""

    @abstractmethod
    def finish(self, rows: Rows) -> list[Found]:
        """After the last block."""

    def close(self) -> None:  # noqa: B027
        """At the end, however it came."""


def _meaning(label: str, kind: str) -> str:
    """One spelling of all that mean the same to a run: b|a is a|b, and 4,0 is 4."""
    if kind == "several":
        return "|".join(sorted(labels_in(label)))
    if kind == "numbers" and NUMBER.fullmatch(label):
        return str(float(label.replace(",", ".")))
    return label


def rows_text(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def share_text(count: int, of: int) -> str:
    """ "12 of 600 rows (2 %)"."""
    share = 100 * count / of if of else 0
    shown = f"{share:.0f}" if share >= 1.5 else f"{share:.1f}"
    return f"{count:,} of {rows_text(of)}{f' ({shown} %)' if share >= 0.1 else ''}"


def drop(found: int, title: str | None = None, of: str = "", name: str = "drop") -> Fix:
    """The fix that leaves rows out."""
    return Fix(
        name,
        title or f"Drop {'the row' if found == 1 else f'all {found:,} rows'}",
        found,
        {"kind": "drop"},
        of,
    )


def groups_of(keys: "np.ndarray", among: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """(positions, group numbers) of the rows `among` (boolean) whose key comes more than once, group by group, in order.

    Groups are numbered by their first row.
    """
    import numpy as np

    where = np.flatnonzero(among)
    _, first, inverse, counts = np.unique(
        keys[where], return_index=True, return_inverse=True, return_counts=True
    )
    several = counts[inverse] > 1
    where, begins = where[several], first[inverse[several]]
    order = np.argsort(begins, kind="stable")
    _, numbers = np.unique(begins[order], return_inverse=True)
    return where[order], numbers
