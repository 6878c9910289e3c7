"""What a look at the finished profile finds: empty cells, labels that a person takes for one."""

import unicodedata
from collections.abc import Collection, Mapping

from app.datasets.findings import Finding, lines_text, warning
from app.datasets.profile import Profile
from app.datasets.split import normalised

_EMPTY = "Rows whose text or label is empty are left out of training."
_TWINS = "Some values differ only in capital letters, spaces or invisible characters: "


def of_columns(profile: Profile) -> list[Finding]:
    """Warnings about single columns; their `where` is "column NAME"."""
    found = []
    for name, column in zip(profile.names, profile.columns, strict=True):
        if column.empty:
            lines = lines_text(column.empty_lines, column.empty)
            empty = "1 cell is empty" if column.empty == 1 else f"{column.empty:,} cells are empty"
            found.append(
                warning(
                    f"column {name}",
                    f"{empty} ({lines}). {_EMPTY}",
                )
            )
    label = profile.guess()[1]
    if label is not None:
        found += _of_twins(label, profile.columns[profile.names.index(label)].counts or {})
    return found


def told_by_the_doctor(problem: Mapping[str, str], examined: Collection[str | None]) -> bool:
    """Whether `problem` is one of `of_columns` that the doctor tells too, of the columns `examined`: with the rows, and a fix."""
    where, message = problem["where"], problem["message"]
    ours = message.endswith(_EMPTY) or message.startswith(_TWINS)
    return ours and any(where == f"column {name}" for name in examined)


def _of_twins(label: str, counts: Mapping[str, int]) -> list[Finding]:
    """Labels that a person takes for one."""
    alike: dict[str, list[str]] = {}
    for value in sorted(counts):
        visible = "".join(char for char in value if unicodedata.category(char) != "Cf")
        alike.setdefault(normalised(visible), []).append(value)
    twins = [values for values in alike.values() if len(values) > 1]
    if not twins:
        return []
    shown = "; ".join(" and ".join(map(repr, values[:5])) for values in twins[:5])
    return [
        warning(
            f"column {label}",
            f"{_TWINS}{shown}. As labels they are learned apart; write them the same way if they mean the same.",
        )
    ]
