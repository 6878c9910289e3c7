"""What the table of all rows and the labelling view show of a data set: its columns by role, its labels and their keys."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import Any

from app.core.errors import Conflict, Invalid
from app.datasets.doctor.question import asked_of
from app.datasets.journal import Pending
from app.datasets.lists import labels_in
from app.web.services import Services

MOST_COLUMNS = 40  # in the table; each row on the screen has a cell for each
_LISTS_COUNTED = 1000
MOST_LABELS = 500  # offered while one types
# s skips in the labelling view.
_OTHER_ANSWERS = {"tokens", "target", "completion"}  # roles of data whose answers are no labels of texts
KEYS = [*digits[1:], *(letter for letter in ascii_lowercase if letter != "s")]


@dataclass(frozen=True)
class Setup:
    """`kind`: of the labels, classes, several (a|b) or numbers; None without a label column. `columns`: the label and the texts first.
    `labels`: {"name", "key", "count"}, those with a key first."""

    text: tuple[str, ...]
    label: str | None
    kind: str | None
    columns: list[str]
    hidden: int
    labels: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """What the scripts go by."""
        return {
            "text": list(self.text),
            "label": self.label,
            "kind": self.kind,
            "columns": self.columns,
            "labels": self.labels,
        }


def require_ready(view: Mapping[str, Any]) -> None:
    """Raises Conflict."""
    if view["state"] != "ready":
        raise Conflict(
            f"{view['name']} is {'still being read' if view['state'] == 'reading' else 'not readable'}."
        )


def setup(services: Services, view: Mapping[str, Any], text: str = "", label: str = "") -> Setup:
    """`text`, `label`: the columns as chosen; empty, or not there: as guessed. Raises Conflict unless the data set is ready."""
    require_ready(view)
    columns, profile = view["columns"] or [], view["profile"] or {}
    chosen_text = [text] if text in columns else []
    chosen_label = label if label in columns else _guessed(profile)
    try:
        asked = asked_of(columns, profile, chosen_text, chosen_label)
        texts, column = asked.text, asked.label
        kind: str | None = asked.labels
    except Invalid:  # nothing looks like texts: still a table
        texts, column, kind = (), chosen_label, "classes"
    about = (profile.get("columns") or {}).get(column) or {}
    pending = services.edits.pending(view["id"])
    if kind == "several" and about.get("shape") is not None:  # of lists the profile counts nothing
        items = services.datasets.rows(view["id"], 0, _LISTS_COUNTED)["items"]
        about = {"counts": Counter(item["cells"][column] for item in items)}
    elif column is None or about.get("shape") is not None:
        kind = None
    ordered = [*([column] if column else []), *texts]
    ordered += [name for name in columns if name not in ordered]
    return Setup(
        text=tuple(texts),
        label=column,
        kind=kind,
        columns=ordered[:MOST_COLUMNS],
        hidden=len(ordered) - len(ordered[:MOST_COLUMNS]),
        labels=[] if column is None or kind in (None, "numbers") else _labels(about, pending, column, kind),
    )


def takes_column(view: Mapping[str, Any], setup: Setup) -> bool:
    """Whether texts are there and only the labels are missing."""
    roles = (view["profile"] or {}).get("roles", {})
    return setup.label is None and bool(setup.text) and not _OTHER_ANSWERS & roles.keys()


def _guessed(profile: Mapping[str, Any]) -> str | None:
    """A column of numbers of which none comes twice is no class, but it can be the label; None: as the doctor guesses."""
    roles = profile.get("roles", {})
    return None if profile.get("label") or _OTHER_ANSWERS & roles.keys() else roles.get("label")


def _labels(about: Mapping[str, Any], pending: Pending, column: str, kind: str) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    for value, count in (about.get("counts") or {}).items():
        for name in _parts(value, kind):
            counts[name] += count
    written = [
        cells[column] for cells in (*pending.cells.values(), *pending.added.values()) if column in cells
    ]
    counts.update({name: 0 for value in written for name in _parts(value, kind) if name not in counts})
    names = sorted(counts)
    if len(names) > len(KEYS):  # too many for keys: the commonest get them
        names = [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return [
        {"name": name, "key": KEYS[place] if place < len(KEYS) else "", "count": counts[name]}
        for place, name in enumerate(names[:MOST_LABELS])
    ]


def _parts(value: str, kind: str) -> Iterable[str]:
    return labels_in(value) if kind == "several" else [value.strip()] if value.strip() else []
