"""Which task a data set is for, and which columns fill its roles: what the form begins with."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.datasets.column import NUMBER, SURELY_NUMBERS
from app.datasets.lists import labels_in
from app.tasks import TASKS
from app.tasks.base import Role, Task
from app.web.form import ticked

MANY_NUMBERS = 12  # so many different whole numbers are still classes: stars, school marks
SOME_FRACTIONS = 5
_PIPED = 0.05  # share of cells with "|" from which on they are lists of labels
# The first task of which all the roles were found.
BY_ROLES = (
    ("tagging", ("tokens", "tags")),
    ("text2text", ("source", "target")),
    ("generation", ("prompt", "completion")),
    ("pair", ("text", "text_pair", "label")),
    ("tagging", ("text", "spans")),
)

Items = Sequence[Mapping[str, Any]]


def task_for(view: Mapping[str, Any], items: Items, form: Mapping[str, str]) -> Task:
    """The task that a data set looks made for; the first there is where nothing tells.

    `view`: a data set with its profile; `items`: some of its rows, as DatasetStore.rows gives them; `form`: may name
    columns of roles already, as the page of a data set does.
    """
    there = view["columns"] or []
    asked = {role: column for role, column in form.items() if role in ("text", "label") and column in there}
    roles, columns = {**roles_in(view), **asked}, _columns(view)
    for name, needed in BY_ROLES:
        if name in TASKS and all(role in roles for role in needed):
            return TASKS[name]
    label = roles.get("label")
    if label is None:
        wanted = "multilabel" if len(_zero_or_one(columns)) > 1 else "adaptation" if "text" in roles else ""
    elif (
        is_piped(label, items)
        or _is_list(columns.get(label))
        or (_is_zero_or_one(columns.get(label)) and len(_zero_or_one(columns)) > 1)
    ):
        wanted = "multilabel"
    else:
        wanted = "score" if _is_score(columns.get(label), label, items) else "classification"
    return TASKS.get(wanted) or TASKS.get("classification") or next(iter(TASKS.values()))


def fill(
    way: tuple[Role, ...], view: Mapping[str, Any], form: Mapping[str, str]
) -> dict[str, str | list[str]]:
    """{role: column or columns or ""} for the roles of a task: as the form says, else guessed; no column twice."""
    there, guessed = view["columns"] or [], roles_in(view)
    chosen: dict[str, str | list[str]] = {}
    for role in way:  # what was chosen first, so that no guess takes its column
        if several := [column for column in ticked(form, role) if column in there]:
            chosen[role.name] = several
        elif form.get(role.name) in there:
            chosen[role.name] = form[role.name]
    for role in way:
        if role.name in chosen:
            continue
        taken = [name for value in chosen.values() for name in ([value] if isinstance(value, str) else value)]
        columns = _columns(view)
        found = guessed.get(role.name) or (role.name if role.name in there else "")
        several = [name for name in _zero_or_one(columns) if name not in taken]
        if role.many and len(several) > 1 and (not found or _is_zero_or_one(columns.get(found))):
            chosen[role.name] = several
        else:
            chosen[role.name] = found if found in there and found not in taken else ""
    return {role.name: chosen[role.name] for role in way}


def roles_in(view: Mapping[str, Any]) -> dict[str, str]:
    """{role: column} as the profile of a data set guesses them."""
    profile = view["profile"] or {}
    found = profile.get("roles")
    if found is None:  # a profile of before there were roles
        found = {role: profile.get(role) for role in ("text", "label")}
    return {role: column for role, column in found.items() if column}


def is_piped(column: str, items: Items) -> bool:
    """Whether cells of a column hold several labels, as "a|b"."""
    cells = [item["cells"].get(column) or "" for item in items]
    piped = sum(len(labels_in(cell)) > 1 for cell in cells)
    return piped > _PIPED * sum(map(bool, cells))


def _is_list(about: Mapping[str, Any] | None) -> bool:
    """JSON lists of labels."""
    return (about or {}).get("shape") == "values"


def _is_score(about: Mapping[str, Any] | None, column: str, items: Items) -> bool:
    """Numbers that are too many for classes; a cell in ten may be none, which is a fault and no class."""
    if not about or about.get("numbers", float(about.get("numeric", False))) < SURELY_NUMBERS:
        return False
    cells = [(item["cells"].get(column) or "").strip().replace(",", ".") for item in items]
    whole = all(float(cell).is_integer() for cell in cells if NUMBER.fullmatch(cell))
    return bool(about["distinct"] > (MANY_NUMBERS if whole else SOME_FRACTIONS))


def _zero_or_one(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name, about in columns.items() if _is_zero_or_one(about)]


def _is_zero_or_one(about: Mapping[str, Any] | None) -> bool:
    counts: dict[str, int] = (about or {}).get("counts") or {}
    return bool(counts) and set(counts) <= {"0", "1"}


def _columns(view: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = (view["profile"] or {}).get("columns") or {}
    return found
