"""What Headstart knows about a pre-trained model before anything is loaded."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.models.families import Architecture, architecture_of, tasks_for
from app.models.inspect import inspect_folder

Kind = Literal["starter", "local", "hub", "run"]


@dataclass(frozen=True)
class ModelInfo:
    """A model on offer. One that can't be used has no tasks and the reason in `note`.

    `family`: config.json's model_type. `max_length`: longest input in tokens, None: no fixed limit.
    `bytes`: size of the weights' files. `path`: the folder, None for a hub model that isn't fetched yet.
    `cautions`: what is to be known before it does one of its tasks, by task.
    `languages`: codes with which its tokenizer marks source and target texts (mBART, NLLB), [] without.
    """

    id: str
    title: str
    family: str
    kind: Kind
    tasks: list[str]
    parameters: int | None = None
    max_length: int | None = None
    path: Path | None = None
    bytes: int | None = None
    note: str = ""
    cautions: dict[str, str] = field(default_factory=dict)
    languages: list[str] = field(default_factory=list)
    has_chat_template: bool = False

    @property
    def architecture(self) -> Architecture | Literal[""]:
        """ "" where the family is unknown: the model can't be used, or is not looked up yet."""
        return architecture_of(self.family) or ""

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


def describe(
    folder: Path, id: str, title: str, kind: Kind, note: str = "", root: Path | None = None
) -> ModelInfo:
    """What the model in `folder` is. `note` follows its family; `root`: see inspect_folder. Raises Unusable."""
    found = inspect_folder(folder, root)
    return ModelInfo(
        id=id,
        title=title,
        family=found.family,
        kind=kind,
        tasks=tasks_for(found.family),
        parameters=found.parameters,
        max_length=found.max_length,
        path=folder,
        bytes=found.bytes,
        note=f"{found.family} · {note}",
        languages=found.languages,
        has_chat_template=found.has_chat_template,
    )
