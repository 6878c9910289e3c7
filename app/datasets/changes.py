"""One change of a user: its form in JSON, and its words."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from app.core.errors import Invalid
from app.core.strict import Strict, one_of
from app.datasets.journal import Action
from app.datasets.steps import problem_of
from app.datasets.steps.base import Column
from app.datasets.steps.edit import Value

MAX_AT_ONCE = 10_000  # of each kind in one change
Row = Annotated[int, Field(ge=-(2**31), lt=2**62)]


class CellChange(Strict):
    """A cell gets a value. `row`: a row id, or the negative number of a row that was added and is not saved; `before`: the value that
    was seen there, so that nobody writes over what somebody else wrote."""

    row: Row
    column: Column
    value: Value
    before: Value


class Change(Strict):
    """What one undo takes back. `drop`: rows that are left out; `restore`: rows that are not, after all; `add`: rows that come."""

    model_config = ConfigDict(json_schema_extra={"anyOf": one_of("cells", "drop", "restore", "add")})

    cells: list[CellChange] = Field(default=[], max_length=MAX_AT_ONCE)
    drop: list[Row] = Field(default=[], max_length=MAX_AT_ONCE)
    restore: list[Row] = Field(default=[], max_length=MAX_AT_ONCE)
    add: list[Annotated[dict[Column, Value], Field(min_length=1)]] = Field(default=[], max_length=MAX_AT_ONCE)

    @model_validator(mode="after")
    def _something(self) -> "Change":
        if not (self.cells or self.drop or self.restore or self.add):
            raise ValueError("give at least one of cells, drop, restore and add")
        return self

    @property
    def columns(self) -> list[str]:
        return list(
            dict.fromkeys([one.column for one in self.cells] + [name for row in self.add for name in row])
        )


def parse_change(value: Any) -> Change:
    """A change out of JSON. Raises Invalid with every fault, each under the field's name."""
    try:
        return Change.model_validate(value)
    except ValidationError as error:
        problems = [problem_of(one) for one in error.errors()]
        raise Invalid.from_problems("The change can't be used", problems) from error


def words(action: Action) -> str:
    """What an action did, for the button that takes it back."""
    if "discard" in action:
        return "discard all changes"
    cells, parts = action["cells"], []
    if len(cells) == 1:
        parts.append(f"write {short(cells[0][2])} into {cells[0][1]}")
    elif cells:
        parts.append(f"write {len(cells):,} cells")
    for name, verb in (("add", "add"), ("drop", "drop"), ("restore", "keep")):
        if action[name]:
            parts.append(f"{verb} {len(action[name]):,} row{'s' if len(action[name]) > 1 else ''}")
    return ", ".join(parts)


def name_of(row: Mapping[str, Any]) -> str:
    return f"The row of line {row['line']}" if row["line"] else f"Row {row['row_id']}"


def short(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:40]}…") if value else "nothing"
