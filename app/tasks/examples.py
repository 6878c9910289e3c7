"""The labelled examples of a run: the chosen columns, cleaned, each row in its part."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.core.errors import Invalid, Problem
from app.core.files import Files
from app.core.spec import ColumnSplit, GroupSplit, RunSpec, TimeSplit

if TYPE_CHECKING:
    from app.datasets.store import DatasetStore


@dataclass
class Examples:
    """Four lists of the same length, in the order of the file. `dropped`: rows left out, by reason."""

    row_ids: list[int]
    texts: list[str]
    labels: list[str]
    parts: list[str]
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_ids)

    def part(self, name: str) -> "Examples":
        """The rows of train, validation or test."""
        rows = [index for index, part in enumerate(self.parts) if part == name]
        return Examples(
            row_ids=[self.row_ids[row] for row in rows],
            texts=[self.texts[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            parts=[name] * len(rows),
        )


def load_examples(store: "DatasetStore", files: Files, spec: RunSpec) -> Examples:
    """Reads the spec's columns, strips labels, leaves out rows without text or label, assigns the parts.

    Raises Invalid, with every column that is not in the file, and whatever the split refuses; NotFound.
    """
    import pyarrow.compute as pc

    from app.datasets.split import split

    version = spec.dataset_version or int(store.view(spec.dataset)["version"])
    check_columns(spec, list(store.rows(spec.dataset, 0, 1, version)["columns"]))
    text, label = spec.columns["text"], spec.columns["label"]
    by = spec.split.column if isinstance(spec.split, ColumnSplit | GroupSplit | TimeSplit) else None
    wanted = list(dict.fromkeys(name for name in (text, label, by) if name is not None))
    table = store.table(spec.dataset, version, wanted)

    texts = pc.fill_null(table.column(text), "")
    labels = pc.utf8_trim_whitespace(pc.fill_null(table.column(label), ""))
    has_text = pc.not_equal(pc.utf8_trim_whitespace(texts), "")
    has_label = pc.not_equal(labels, "")
    dropped = {
        "empty text": len(table) - (pc.sum(has_text).as_py() or 0),
        "empty label": pc.sum(pc.and_(has_text, pc.invert(has_label))).as_py() or 0,
    }
    # The split stratifies by the label as it is learned: " positive" is positive.
    table = table.set_column(table.schema.get_field_index(label), label, labels)
    kept = table.filter(pc.and_(has_text, has_label))
    if len(kept) == 0:
        raise Invalid.from_problems(
            "The data can't be used",
            [{"where": "columns", "message": f"no row has both a text in {text!r} and a label in {label!r}"}],
        )
    try:
        parts = split(files, spec.dataset, kept, [text], label, spec.split)
    except Invalid as error:
        # Its sentence names the line; as a fault of the spec it stands under the field.
        raise Invalid(error.message, [{"where": "split", "message": error.message}]) from error
    return Examples(
        row_ids=kept.column("__row_id").to_pylist(),
        texts=kept.column(text).to_pylist(),
        labels=kept.column(label).to_pylist(),
        parts=parts,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def check_columns(spec: RunSpec, there: list[str]) -> None:
    """Raises Invalid with every column of the spec that is not in the file, naming those that are."""
    asked = {f"columns.{role}": name for role, name in spec.columns.items()}
    if isinstance(spec.split, ColumnSplit | GroupSplit | TimeSplit):
        asked["split.column"] = spec.split.column
    names = ", ".join(repr(name) for name in there[:20]) + (" …" if len(there) > 20 else "")
    problems: list[Problem] = [
        {"where": where, "message": f"there is no column {name!r}; the file has {names}"}
        for where, name in asked.items()
        if name not in there
    ]
    if problems:
        raise Invalid.from_problems("The run can't start", problems)


def part_sizes(examples: Examples) -> dict[str, int]:
    """{"train": n, "validation": n, "test": n}"""
    counted = Counter(examples.parts)
    return {part: counted.get(part, 0) for part in ("train", "validation", "test")}
