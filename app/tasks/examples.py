"""The examples of a run: the values of the chosen columns, cleaned, each row in its part."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.core.errors import Invalid, Problem
from app.core.files import Files
from app.core.spec import FilesSplit, RandomSplit, RunSpec

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore
    from app.tasks.base import Task


@dataclass
class Reading:
    """What a task read out of all rows of the file: `values`: role → one value a row; `left_out`: for each row why it
    is left out ("empty text"), or None. `strata`: for each row its stratum in a random split, where no single column
    says it (else Task.stratum does)."""

    values: dict[str, list[Any]]
    left_out: list[str | None]
    strata: list[str] | None = None


@dataclass
class Examples:
    """Lists of the same length, in the order of the file. `values`: role → one value a row, as the task read them
    (a string, a number, a list of tags …). `dropped`: rows left out, by reason."""

    row_ids: list[int]
    values: dict[str, list[Any]]
    parts: list[str]
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_ids)

    def __getitem__(self, role: str) -> list[Any]:
        return self.values[role]

    @property
    def texts(self) -> list[str]:
        return self.values["text"]

    @property
    def labels(self) -> list[str]:
        return self.values["label"]

    def part(self, name: str) -> "Examples":
        """The rows of train, validation or test."""
        return self.only([index for index, part in enumerate(self.parts) if part == name])

    def only(self, rows: Sequence[int]) -> "Examples":
        """Those at these places."""
        return Examples(
            row_ids=[self.row_ids[row] for row in rows],
            values={role: [column[row] for row in rows] for role, column in self.values.items()},
            parts=[self.parts[row] for row in rows],
        )


def load_examples(store: "DatasetStore", files: Files, spec: RunSpec, task: "Task | None" = None) -> Examples:
    """Reads the spec's columns as its task does, leaves out rows without a value, assigns the parts.

    Raises Invalid, with every column that is not in the file, and whatever task and split refuse; NotFound.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from app.datasets.rows import ROW_ID, line_of
    from app.datasets.split import split

    if task is None:
        from app.tasks import task as task_named

        task = task_named(spec.task)
    version = spec.dataset_version or int(store.view(spec.dataset)["version"])
    check_columns(spec, list(store.rows(spec.dataset, 0, 1, version)["columns"]))
    by = None if isinstance(spec.split, RandomSplit) else spec.split.column
    wanted = [name for value in spec.columns.values() for name in names_of(value)]
    table = store.table(spec.dataset, version, list(dict.fromkeys(wanted + ([by] if by else []))))
    row_ids: list[int] = table.column(ROW_ID).to_pylist()

    def cells(column: str) -> list[str]:
        found: list[str] = pc.fill_null(table.column(column), "").to_pylist()
        return found

    def where(row: int) -> str:
        line = line_of(files.dataset(spec.dataset), row_ids[row])
        return f"row {row_ids[row]}" if line is None else f"line {line}"

    reading = task.read(cells, spec, where)
    kept = [row for row, reason in enumerate(reading.left_out) if reason is None]
    if not kept:
        raise Invalid.from_problems("The data can't be used", [_nothing_left(spec, reading)])
    stratum = task.stratum(spec)
    if reading.strata is not None:
        # Parts are kept by this name, so it holds the columns that the strata come from.
        names = [name for role, value in spec.columns.items() if role != "text" for name in names_of(value)]
        stratum = "\x1f".join(["strata", *names])
        table = table.append_column(stratum, pa.array(reading.strata))
    # The split looks at columns that are not null.
    for name in dict.fromkeys([*task.same(spec), *filter(None, [stratum])]):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pc.fill_null(table.column(name), ""))
    if len(kept) < len(row_ids):
        table = table.take(pa.array(kept))
    try:
        parts = split(files, spec.dataset, table, task.same(spec), stratum, spec.split)
    except Invalid as error:
        # Its sentence names the line; as a fault of the spec it stands under the field.
        raise Invalid(error.message, [{"where": "split", "message": error.message}]) from error
    return Examples(
        row_ids=[row_ids[row] for row in kept],
        values={role: [column[row] for row in kept] for role, column in reading.values.items()},
        parts=parts,
        dropped=dict(Counter(filter(None, reading.left_out))),
    )


def names_of(value: str | list[str]) -> list[str]:
    """The columns of a role: one, or several."""
    return [value] if isinstance(value, str) else list(value)


def check_columns(spec: RunSpec, there: list[str]) -> None:
    """Raises Invalid with every column of the spec that is not in the file, naming those that are."""
    asked = [(f"columns.{role}", name) for role, value in spec.columns.items() for name in names_of(value)]
    if isinstance(spec.split, FilesSplit) and spec.split.column not in there:
        message = "the data did not come as several files, so they can't say the parts: choose another split"
        raise Invalid.from_problems("The run can't start", [{"where": "split", "message": message}])
    if not isinstance(spec.split, RandomSplit):
        asked.append(("split.column", spec.split.column))
    names = ", ".join(repr(name) for name in there[:20]) + (" …" if len(there) > 20 else "")
    problems: list[Problem] = [
        {"where": where, "message": f"there is no column {name!r}; the file has {names}"}
        for where, name in asked
        if name not in there
    ]
    if problems:
        raise Invalid.from_problems("The run can't start", problems)


def part_sizes(examples: Examples) -> dict[str, int]:
    """{"train": n, "validation": n, "test": n}"""
    counted = Counter(examples.parts)
    return {part: counted.get(part, 0) for part in ("train", "validation", "test")}


def _nothing_left(spec: RunSpec, reading: Reading) -> Problem:
    reasons = Counter(filter(None, reading.left_out))
    columns = " and ".join(
        f"a {role} in {', '.join(map(repr, names_of(value)[:3]))}" for role, value in spec.columns.items()
    )
    why = ", ".join(f"{count:,} with {reason}" for reason, count in reasons.most_common(3))
    both = "both " if len(spec.columns) == 2 else ""
    message = f"no row has {both}{columns}" + (f" ({why})" if why else "")
    return {"where": "columns", "message": message}
