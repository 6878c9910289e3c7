"""What to examine where nobody has said: the columns a run would read, what their labels are, which column names parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import Invalid, NotFound, Problem
from app.datasets.column import SURELY_NUMBERS
from app.datasets.doctor.base import Asked
from app.datasets.parts import part_column

_NUMBERS_FROM = 20  # different numbers in a column that is no class


def asked_of(
    columns: Sequence[str], profile: Mapping[str, Any], text: Sequence[str] = (), label: str | None = None
) -> Asked:
    """`profile`: of profile.json. `text` and `label`: as chosen; empty or None: as guessed, but a label "" is none.

    Raises NotFound for a column that is not there, Invalid where no text column can be guessed.
    """
    about, roles = profile.get("columns", {}), profile.get("roles", {})
    texts = tuple(text) or _guessed(profile, roles)
    if label is None:
        label = guessed_label(profile)
    problems: list[Problem] = [
        {"where": name, "message": f"is no column; there are: {', '.join(columns)}"}
        for name in (*texts, *([label] if label else []))
        if name not in columns
    ]
    if problems:
        raise NotFound.from_problems("The data set has no such column", problems)
    if not texts:
        raise Invalid(f"Say which column holds the texts; there are: {', '.join(columns)}.")
    if label in texts:
        label = None
    return Asked(
        text=texts,
        label=label or None,
        labels=kind_of(about.get(label) or {}),
        part=part_column(about, (*texts, label)),
        tags=roles.get("tags") if texts == (roles.get("tokens"),) else None,
    )


def _guessed(profile: Mapping[str, Any], roles: Mapping[str, str]) -> tuple[str, ...]:
    for several in (("tokens",), ("source", "target"), ("text", "text_pair"), ("prompt", "completion")):
        if all(role in roles for role in several):
            return tuple(roles[role] for role in several)
    text = profile.get("text") or roles.get("text")
    return (text,) if text else ()


def guessed_label(profile: Mapping[str, Any]) -> str | None:
    """The column of classes, else one that a run reads though it holds none: other numbers in every row, or lists of labels."""
    roles = profile.get("roles", {})
    if _without_label(roles):
        return None
    other = roles.get("label")
    about = profile.get("columns", {}).get(other) or {}
    label: str | None = profile.get("label") or (other if kind_of(about) != "classes" else None)
    return label


def _without_label(roles: Mapping[str, str]) -> bool:
    """Where one text is to be made of another, or words are tagged, no column is a label."""
    return (
        "tokens" in roles or {"source", "target"} <= roles.keys() or {"prompt", "completion"} <= roles.keys()
    )


def kind_of(about: Mapping[str, Any]) -> Any:
    """What the labels of a column are, as Asked.labels, by its profile."""
    counts = about.get("counts")
    # A cell in ten may be no number: that is another finding, and no reason to take the others for classes.
    if (
        about.get("numbers", float(about.get("numeric", False))) >= SURELY_NUMBERS
        and about.get("distinct", 0) > _NUMBERS_FROM
    ):
        return "numbers"
    if about.get("shape") == "values":
        return "several"
    several = counts and sum("|" in value for value in counts) > 0.1 * len(counts)
    return "several" if several else "classes"
