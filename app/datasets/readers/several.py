"""Several files as one table: train, validation and test, told apart by a column."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import Invalid
from app.core.spec import PART_COLUMN
from app.datasets.findings import Finding
from app.datasets.profile import Profile
from app.datasets.readers.source import Block, Table


@dataclass
class File:
    """One of the files: open, with the part it is. `profile` is of its rows alone."""

    name: str
    part: str
    table: Table
    profile: Profile


class Several:
    """The rows of the first file, then of the next. The columns are the first's, in its order, and PART_COLUMN.

    Raises Invalid on opening if the files don't have the same columns. What a file raises later names the file.
    """

    def __init__(self, files: Sequence[tuple[str, str, Table]]) -> None:
        """`files`: name, part and table of each."""
        self._files = [File(name, part, table, Profile(table.names)) for name, part, table in files]
        first = self._files[0]
        for file in self._files:
            _check_columns(first, file)
        self.names = [*first.table.names, PART_COLUMN]

    @property
    def bytes_read(self) -> int:
        return sum(file.table.bytes_read for file in self._files)

    def close(self) -> None:
        for file in self._files:
            file.table.close()

    def blocks(self) -> Iterator[Block]:
        for file in self._files:
            places = [file.table.names.index(name) for name in self.names[:-1]]
            with named(file.name):
                for block in file.table.blocks():
                    if block.lines:
                        file.profile.add(block.columns, block.lines)
                    part = [file.part] * len(block.lines)
                    yield Block([*(block.columns[place] for place in places), part], block.lines)

    def check(self, profile: Profile) -> None:
        for file in self._files:
            file.profile.finish()
            with named(file.name):
                file.table.check(file.profile)

    def warnings(self, profile: Profile) -> list[Finding]:
        return [
            {**finding, "where": f"{file.name}, {finding['where']}"}
            for file in self._files
            for finding in file.table.warnings(file.profile)
        ]

    def used(self) -> dict[str, Any]:
        files = [{"name": file.name, "part": file.part, "rows": file.profile.rows} for file in self._files]
        return {**self._files[0].table.used(), "files": files}


class named:  # noqa: N801 - reads as a verb
    """Puts a file's name before what is wrong with it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Invalid):
            for problem in error.problems:
                problem["where"] = f"{self._name}, {problem['where']}"
            raise Invalid(f"{self._name}: {error.message}", error.problems, kind=error.kind) from error


def _check_columns(first: File, file: File) -> None:
    ours, theirs = first.table.names, file.table.names
    if PART_COLUMN in theirs:
        raise Invalid(
            f"{file.name} has a column {PART_COLUMN!r}, the name that Headstart gives to the column which says train, "
            "validation or test. Rename it, or upload all rows as one file and split by that column.",
            [{"where": f"{file.name}, column {PART_COLUMN}", "message": "is a name that Headstart needs"}],
            kind="header",
        )
    for name in ours:
        if name not in theirs:
            raise _differs(first.name, file.name, name)
    for name in theirs:
        if name not in ours:
            raise _differs(file.name, first.name, name)


def _differs(having: str, lacking: str, column: str) -> Invalid:
    return Invalid(
        f"{lacking} has no column {column!r}, and {having} has one. Give the files the same columns.",
        [{"where": lacking, "message": f"has no column {column!r}"}],
        kind="header",
    )
