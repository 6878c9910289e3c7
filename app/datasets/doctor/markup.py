"""Texts that carry what is no text: HTML, the traces of a wrong encoding."""

from app.datasets.doctor.base import Block, Check, Fix, Found, Rows, rows_text, share_text
from app.datasets.steps.clean import ENTITY, MOJIBAKE, TAG, repaired

MUCH = 0.2


class Html(Check):
    doing = "looking for HTML"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._found: dict[str, list[int]] = {column: [] for column in self.asked.text}

    def add(self, block: Block) -> None:
        for column, positions in self._found.items():
            for place, cell in enumerate(block.cells(column)):
                if ("<" in cell and TAG.search(cell)) or ("&" in cell and ENTITY.search(cell)):
                    positions.append(block.first + place)

    def finish(self, rows: Rows) -> list[Found]:
        return [
            Found(
                id=f"html-{number + 1}",
                severity="warning" if len(positions) >= MUCH * rows.count else "note",
                title=f"HTML in {column}",
                message=f"{share_text(len(positions), rows.count)} have HTML tags or entities in {column}: they take tokens and say little.{_kept(self)}",
                count=len(positions),
                columns=[column],
                positions=positions,
                fixes=[] if _kept(self) else [_clean(column, "html", "Take the HTML out", len(positions))],
            )
            for number, (column, positions) in enumerate(self._found.items())
            if positions
        ]


class Encoding(Check):
    """UTF-8 that was read as something else ("cafÃ©"), and characters that were lost for ever ("caf\ufffd")."""

    doing = "looking for broken characters"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._broken: dict[str, list[int]] = {column: [] for column in self.asked.columns}
        self._lost: dict[str, list[int]] = {column: [] for column in self.asked.columns}

    def add(self, block: Block) -> None:
        for column, positions in self._broken.items():
            for place, cell in enumerate(block.cells(column)):
                if cell.isascii():
                    continue
                if "\ufffd" in cell:
                    self._lost[column].append(block.first + place)
                elif MOJIBAKE.search(cell) and repaired(cell) != cell:
                    positions.append(block.first + place)

    def finish(self, rows: Rows) -> list[Found]:
        found = []
        for number, (column, positions) in enumerate(self._broken.items()):
            if positions:
                found.append(
                    Found(
                        id=f"encoding-{number + 1}",
                        severity="warning",
                        title=f"Wrong encoding in {column}",
                        message=f"{share_text(len(positions), rows.count)} have characters in {column} that come of reading UTF-8 as "
                        f"Windows-1252, as in 'cafÃ©' for 'café'.{_kept(self) if column in self.asked.text else ''}",
                        count=len(positions),
                        columns=[column],
                        positions=positions,
                        fixes=[]
                        if column in self.asked.text and _kept(self)
                        else [_clean(column, "encoding", "Repair them", len(positions))],
                    )
                )
            lost = self._lost[column]
            if lost:
                found.append(
                    Found(
                        id=f"lost-characters-{number + 1}",
                        severity="warning",
                        title=f"Lost characters in {column}",
                        message=f"{share_text(len(lost), rows.count)} have the sign for a lost character (\ufffd) in {column}. No fix here brings "
                        "it back: read the file again with the right encoding, or export it again.",
                        count=len(lost),
                        columns=[column],
                        positions=lost,
                    )
                )
        return found


def _kept(check: Check) -> str:
    """Why no fix may change a text; "" where one may."""
    spans = [name for name, about in check.profile.items() if about.get("shape") == "spans"]
    return (
        f" {spans[0]} counts its characters, so no fix here takes some away: mend the file." if spans else ""
    )


def _clean(column: str, how: str, title: str, count: int) -> Fix:
    return Fix(
        {"html": "clean", "encoding": "repair"}[how],
        f"{title} ({rows_text(count)})",
        count,
        {"kind": "clean", "column": column, "how": how},
    )
