"""Which rows train, which validate and which test: from the content and the split's own seed, never the run's.

Rows whose normalised texts are the same share a part (but under a column split: there the user decides), and a row
that has a part keeps it when rows are added; only under a column split a row moves, to the part that its cell names in that
version. Rows that come later never join the test part of a random or group split (but as a copy of a test row, or as one
of its group): what was tested on stays what is tested on, so that the runs before and after stay comparable. By time the
newest rows still come last. So the parts are written down, in datasets/ID/splits/KEY.parquet.
"""

import fcntl
import hashlib
import json
import os
import secrets
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.errors import Invalid
from app.core.files import Files
from app.core.spec import ColumnSplit, FilesSplit, GroupSplit, RandomSplit, Split, TimeSplit
from app.datasets.parts import PARTS, part_named
from app.datasets.quotas import assign, quotas, strata
from app.datasets.rows import ROW_ID, line_of

if TYPE_CHECKING:
    import pyarrow


def normalised(text: str) -> str:
    """NFKC, case folded, white space collapsed."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def split(
    files: Files,
    dataset_id: str,
    table: "pyarrow.Table",
    text_columns: list[str],
    label_column: str | None,
    split: Split,
) -> list[str]:
    """The part of each row of `table` (`__row_id` and every column that is named), in its order.

    Raises Invalid if the split's column is missing or has a value that can't be used.
    """
    if not isinstance(split, RandomSplit) and split.column not in table.column_names:
        raise Invalid(f"The split needs the column {split.column!r}, which is not in the data set.")
    row_ids = table[ROW_ID].to_pylist()
    spec = {"split": split.model_dump(mode="json"), "text": text_columns, "label": label_column, "order": 1}
    key = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    path = files.dataset(dataset_id) / "splits" / f"{key}.parquet"
    known = _load(path)
    if all(row in known for row in row_ids) and not isinstance(split, ColumnSplit | FilesSplit):
        return [known[row][0] for row in row_ids]

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        # Two processes that add rows at once would both be right, and give one row two parts.
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _load(path)
        rows = _Rows(row_ids, table, text_columns, label_column, known)

        def line(index: int) -> str:
            number = line_of(files.dataset(dataset_id), row_ids[index])
            return f"row {row_ids[index]}" if number is None else f"line {number}"

        parts = _parts(rows, table, split, line)
        # A row that moved in this version keeps its part in the earlier ones: what is known is not written over.
        added = {
            row: (own or part, text)
            for row, own, part, text in zip(row_ids, rows.parts, parts, rows.texts, strict=True)
        }
        if not added.items() <= known.items():
            _save(path, {**known, **added})
    return parts


class _Rows:
    """The rows to be split. `texts`: a short hash of the normalised texts; `labels`: "" without a label column."""

    def __init__(
        self,
        row_ids: list[int],
        table: "pyarrow.Table",
        text_columns: list[str],
        label_column: str | None,
        known: dict[int, tuple[str, str]],
    ) -> None:
        columns = [table[name].to_pylist() for name in text_columns]
        # normalised() leaves no \x1f in a text, so joining loses nothing.
        self.texts = [_digest("\x1f".join(map(normalised, cells))) for cells in zip(*columns, strict=True)]
        labels = table[label_column].to_pylist() if label_column else [""] * len(row_ids)
        self.labels = [label.strip() for label in labels]
        self.parts = [known[row][0] if row in known else None for row in row_ids]
        self.parts_before = {part for part, _ in known.values()}
        # The part of each text that has one, whether or not its row is in this table.
        self.part_of_text: dict[str, str] = {}
        for part, text in known.values():
            self.part_of_text.setdefault(text, part)


Where = Callable[[int], str]


def _parts(rows: _Rows, table: "pyarrow.Table", split: Split, line: Where) -> list[str]:
    if isinstance(split, RandomSplit):
        return _grouped(rows, rows.texts, split, rows.part_of_text)
    values = table[split.column].to_pylist()
    if isinstance(split, GroupSplit):
        return _by_group(rows, values, split)
    if isinstance(split, TimeSplit):
        return _by_time(rows, values, split, line)
    return _by_column(rows, values, split, line)


def _grouped(
    rows: _Rows, keys: Sequence[str], split: RandomSplit | GroupSplit, known: dict[str, str]
) -> list[str]:
    fractions = {part: float(getattr(split, part)) for part in PARTS}
    closed = "test" if "test" in rows.parts_before else None
    part_of = assign(strata(keys, rows.labels), known, split.seed, fractions, closed)
    return [part or part_of[key] for part, key in zip(rows.parts, keys, strict=True)]


def _by_group(rows: _Rows, values: Sequence[str], split: GroupSplit) -> list[str]:
    """Groups that share a text are one: a copy of a training text in another group would be tested on.

    Where a later version joins groups that have different parts, a new row goes with its text, else with its group.
    """
    # Rows without a group are not one group: each stands by its text.
    groups = [
        f"group|{value.strip()}" if value.strip() else text
        for value, text in zip(values, rows.texts, strict=True)
    ]
    part_of = {group: part for group, part in zip(groups, rows.parts, strict=True) if part}
    part_of |= rows.part_of_text
    keys = _joined(groups, rows.texts)
    known = {}
    largest, count = max(Counter(keys).items(), key=lambda item: item[1], default=("", 0))
    if 2 * count > len(keys):
        known[largest] = "train"  # more than half of the rows can be for nothing else
    for key, *names in zip(keys, rows.texts, groups, strict=True):
        known.update((key, part) for name in names if (part := part_of.get(name)))
    joined = _grouped(rows, keys, split, known)
    result = []
    for own, text, group, part in zip(rows.parts, rows.texts, groups, joined, strict=True):
        part_of.setdefault(text, part_of.get(group) or part)
        result.append(own or part_of[text])
    return result


def _joined(groups: Sequence[str], texts: Sequence[str]) -> list[str]:
    """For each row the least name of all groups and texts that hang together with it (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for group, text in zip(groups, texts, strict=True):
        first, second = sorted((root(group), root(text)))
        parent[second] = first
    return [root(group) for group in groups]


def _by_time(rows: _Rows, values: Sequence[str], split: TimeSplit, line: Where) -> list[str]:
    times = _times(values, split.column, line)
    order = sorted(range(len(times)), key=lambda index: (times[index], index))
    counts = quotas(len(order), [split.train, split.validation, split.test])
    places = [part for part, count in zip(PARTS, counts, strict=True) for _ in range(count)]
    part_of = dict(rows.part_of_text)
    result = [""] * len(order)
    for place, index in zip(places, order, strict=True):
        text = rows.texts[index]
        result[index] = rows.parts[index] or part_of.setdefault(text, place)
    return result


def _times(values: Sequence[str], column: str, line: Where) -> list[float]:
    """Numbers, or ISO 8601 dates as Unix seconds (without a zone: UTC)."""
    first = next((value.strip() for value in values), "")
    parse = _number if _number(first) is not None else _date
    times = []
    for index, value in enumerate(values):
        time = parse(value.strip())
        if time is None:
            what = "is empty" if not value.strip() else f"has {value.strip()[:80]!r}"
            kind = (
                "a number like the first row's"
                if parse is _number
                else "a date such as 2024-05-31 or 2024-05-31T10:00"
            )
            raise Invalid(
                f"The split by time can't use {line(index)}: the column {column!r} {what} there, and needs {kind}. "
                "Correct it, or choose another split.",
                [{"where": line(index), "message": f"{what}, which is not {kind}"}],
            )
        times.append(time)
    return times


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number == number else None


def _date(value: str) -> float | None:
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _by_column(rows: _Rows, values: Sequence[str], split: ColumnSplit | FilesSplit, line: Where) -> list[str]:
    said = []
    for index, value in enumerate(values):
        part = part_named(value)
        if part is None:
            what = f"has {value.strip()[:80]!r}" if value.strip() else "is empty"
            raise Invalid(
                f"The split can't use {line(index)}: the column {split.column!r} {what} there, and only train, "
                "validation (also valid, val, dev) and test are understood.",
                [{"where": line(index), "message": f"{what}; write train, validation or test"}],
            )
        said.append(part)
    for part in ("train", "test"):
        if part not in said:
            raise Invalid(
                f"No row is {part} in the column {split.column!r}. A split by column needs train and test rows."
            )
    # A row that was taken out of train to validate stays there, even if a later version says which rows validate.
    # One that the user moved into the test part, or out of it, has moved.
    moved = [
        own is not None and own != part and "test" in (own, part)
        for own, part in zip(rows.parts, said, strict=True)
    ]
    result = [part if new else own or part for own, part, new in zip(rows.parts, said, moved, strict=True)]
    if "validation" in said:
        return result
    # A ninth of what trains validates, as with 80/10/10.
    train = [index for index, part in enumerate(said) if part == "train" and not moved[index]]
    texts = [rows.texts[index] for index in train]
    known = {
        text: part
        for index, text in zip(train, texts, strict=True)
        if (part := rows.parts[index]) in ("train", "validation")
    }
    stratum_of = strata(texts, [rows.labels[index] for index in train])
    part_of = assign(stratum_of, known, split.column, {"train": 8 / 9, "validation": 1 / 9})
    for index, text in zip(train, texts, strict=True):
        result[index] = part_of[text]
    return result


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _load(path: Path) -> dict[int, tuple[str, str]]:
    """row id → (part, text hash)."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.read().to_pydict()
    except FileNotFoundError:
        return {}
    return dict(zip(columns["row_id"], zip(columns["part"], columns["text"], strict=True), strict=True))


def _save(path: Path, known: dict[int, tuple[str, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts, texts = zip(*known.values(), strict=True) if known else ((), ())
    table = pa.table(
        {
            "row_id": pa.array(list(known), pa.int64()),
            "part": pa.array(parts, pa.string()),
            "text": pa.array(texts, pa.string()),
        }
    )
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    pq.write_table(table, part, compression="zstd")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
