"""Which run or data set somebody means who types its name, or how its id begins."""

from typing import TypeVar

from sqlalchemy import select
from sqlmodel import Session

from app.core.errors import Conflict, NotFound
from app.core.tables import Dataset, Run

Named = TypeVar("Named", Run, Dataset)


def find_run(session: Session, said: str) -> Run:
    """By id, by how an id begins, or by name. Raises NotFound; Conflict if several are meant."""
    everything: list[Run] = list(session.execute(select(Run)).scalars())
    return _find(everything, said.strip(), "run")


def find_dataset(session: Session, said: str) -> Dataset:
    """The same of a data set."""
    everything: list[Dataset] = list(session.execute(select(Dataset)).scalars())
    return _find(everything, said.strip(), "data set")


def _find(everything: list[Named], said: str, what: str) -> Named:
    # An id in full goes before a name, a name in full before what only begins so.
    found = (
        [one for one in everything if one.id == said]
        or [one for one in everything if one.name == said]
        or [one for one in everything if said and one.id.startswith(said)]
        or [one for one in everything if said and one.name.casefold().startswith(said.casefold())]
    )
    if not found:
        raise NotFound(f"There is no {what} {said!r}: neither a name nor the beginning of an id.")
    if len(found) > 1:
        newest = sorted(found, key=lambda one: -one.created_at)
        shown = ", ".join(f"{one.id} ({one.name})" for one in newest[:4])
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise Conflict(f"{said!r} may be {shown}{more}: give the id of the {what} that you mean.")
    return found[0]
