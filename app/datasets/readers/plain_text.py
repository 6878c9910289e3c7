"""Plain text: one column `text`, one row per line that is not blank."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.errors import Invalid
from app.datasets.encoding import Encoding
from app.datasets.findings import Finding, warning
from app.datasets.profile import Profile
from app.datasets.readers.source import Block, Lines, in_blocks

TEXT = "text"


class PlainText:
    """`looks_like`: in words, the table that the file could be as well; a warning says it."""

    def __init__(self, path: Path, encoding: Encoding, looks_like: str | None = None) -> None:
        self.names = [TEXT]
        self._lines, self._looks_like = Lines(path, encoding), looks_like

    @property
    def bytes_read(self) -> int:
        return self._lines.bytes_read

    def close(self) -> None:
        self._lines.close()

    def blocks(self) -> Iterator[Block]:
        return in_blocks((((line,), number) for number, line in self._lines if line.strip()), 1)

    def check(self, profile: Profile) -> None:
        if not profile.rows:
            raise Invalid(
                "The file has no rows: it holds only blank lines. Choose a file with one text on each line.",
                kind="no_rows",
            )

    def warnings(self, profile: Profile) -> list[Finding]:
        if self._looks_like is None:
            return []
        return [
            warning(
                "format",
                f"The lines look like {self._looks_like}. They were read as plain text, one row a line; if they are "
                "a table, read the file again as CSV.",
            )
        ]

    def used(self) -> dict[str, Any]:
        return {"format": "text", "delimiter": None, "header": None}
