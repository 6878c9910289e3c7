"""What Headstart knows about a pre-trained model before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ModelInfo:
    """A model on offer. One that can't be used has no tasks and the reason in `note`.

    `family`: config.json's model_type. `max_length`: longest input in tokens, None: no fixed limit.
    `bytes`: size of the weights' files. `path`: the folder, None for a hub model that isn't fetched yet.
    """

    id: str
    title: str
    family: str
    kind: Literal["starter", "local", "hub", "run"]
    tasks: list[str]
    parameters: int | None = None
    max_length: int | None = None
    path: Path | None = None
    bytes: int | None = None
    note: str = ""

    @property
    def float32_bytes(self) -> int:
        """The weights in the type they train and are exported in; half a gigabyte when nothing is known."""
        return 4 * self.parameters if self.parameters else (self.bytes or 500 * 2**20)

    def size(self) -> str:
        """'22.7 M', '1.2 B', or '' when unknown."""
        if self.parameters is None:
            return ""
        if self.parameters >= 10**9:
            return f"{self.parameters / 1e9:.1f} B"
        millions = self.parameters / 1e6
        return (
            f"{millions:.0f} M"
            if millions >= 100
            else f"{millions:.2g} M"
            if millions < 10
            else f"{millions:.1f} M"
        )
