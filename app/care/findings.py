"""What the doctor says: one sentence each, with what to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """error: something is lost or broken · warning: it will be, or may be · note: worth knowing."""

    level: Level
    message: str


@dataclass
class Report:
    """`orphans`: folders that no record names, with their bytes. `checked`: what was looked at, in words."""

    findings: list[Finding] = field(default_factory=list)
    orphans: dict[Path, int] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)

    def error(self, message: str) -> None:
        self.findings.append(Finding("error", message))

    def warning(self, message: str) -> None:
        self.findings.append(Finding("warning", message))

    def note(self, message: str) -> None:
        self.findings.append(Finding("note", message))

    @property
    def broken(self) -> bool:
        return any(one.level == "error" for one in self.findings)
